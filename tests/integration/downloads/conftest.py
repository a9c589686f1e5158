"""A hub and a service, which the tests of downloads share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.downloading import model
from tests.hub import Hub, running_hub
from tests.service import Service, running, wait_for

PATIENT_S = 60  # how long a silent connection is waited for


@pytest.fixture(scope="package")
def one_hub() -> Iterator[Hub]:
    """One hub, and an environment that leads to it and nowhere else."""
    with running_hub() as hub:
        yield hub


@pytest.fixture(scope="package")
def environment(one_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """What users set around the service; nothing of the machine's own hub settings gets in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("HF_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("HF_ENDPOINT", one_hub.url)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("HF_TOKEN", "hf_secret")
        patch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", str(PATIENT_S))
        yield patch


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the service that most tests share."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="package")
def shared(
    environment: pytest.MonkeyPatch, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One service for the tests that leave it as it was."""
    assert environment
    with running(data, tmp_path_factory.mktemp("downloads") / "temp") as service:
        yield service


@pytest.fixture
def hub(one_hub: Hub) -> Hub:
    """The hub, as new."""
    one_hub.reset()
    return one_hub


@pytest.fixture
def cloud(hub: Hub, shared: Service, data: Path) -> Iterator[Service]:
    """A service without a model, and a hub that is as new; idle again after the test."""
    shutil.rmtree(data / "models", ignore_errors=True)
    yield shared
    hub.released.set()
    wait_for(lambda: not model(shared)["model_downloading"])
