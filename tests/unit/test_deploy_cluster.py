"""The files in scripts/deploy for Ray clusters fit their schemas, the settings and each other."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from supervisor.settings import PREFIX, Settings
from tests.service import ROOT

DEPLOY = ROOT / "scripts" / "deploy"
LAUNCHER, KUBERAY, COMPOSE = (DEPLOY / name for name in ("ray-cluster.yaml", "kuberay.yaml", "compose.yaml"))
FILES = [LAUNCHER, KUBERAY, COMPOSE]
DOCKER = shutil.which("docker")
yaml: Any = pytest.importorskip("yaml")  # Ray's


def parse(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def start_commands(path: Path) -> list[str]:
    """Return every `ray start` of a file."""
    texts = re.findall(r'"[^"]*"|[^,\[\]]+', json.dumps(parse(path)))
    return [text for text in texts if "ray start" in text]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    """The service refuses to start with an unknown one."""
    names = set(re.findall(rf"\b{PREFIX}([A-Z_]+)", path.read_text()))
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)


@pytest.mark.parametrize(("path", "count"), [(LAUNCHER, 2), (KUBERAY, 1), (COMPOSE, 3)])
def test_nodes_start_with_the_documented_options(path: Path, count: int) -> None:
    """Ray refuses the dashboard's option on other nodes than the head."""
    commands = start_commands(path)
    assert len(commands) == count
    for command in commands:
        assert "--object-store-memory=" in command
        assert ("--head" in command) == ("--include-dashboard=false" in command)
        assert ("--head" in command) != ("--address=" in command)


def test_the_launcher_accepts_its_file() -> None:
    """By the schema that Ray installs."""
    jsonschema: Any = pytest.importorskip("jsonschema")
    spec = importlib.util.find_spec("ray")
    if spec is None or spec.origin is None:
        pytest.skip("Ray is not installed")
    schema = json.loads((Path(spec.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(parse(LAUNCHER)[0], schema)


def test_kubernetes_gets_the_pinned_version_and_the_secret_of_the_cluster() -> None:
    """KubeRay names the secret after the cluster, and the head's service too."""
    cluster, supervisor, service = parse(KUBERAY)
    assert f"ray=={cluster['spec']['rayVersion']}\n" in (ROOT / "constraints.txt").read_text()
    (container,) = supervisor["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each for each in container["env"]}
    name = cluster["metadata"]["name"]
    assert variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": name, "key": "auth_token"}
    assert variables["BGREMOVE_CLUSTER"]["value"] == f"{name}-head-svc:6379"
    assert service["spec"]["selector"] == supervisor["spec"]["template"]["metadata"]["labels"]


def test_the_containers_have_one_image_and_one_token() -> None:
    """A node without the token could not join; the Dockerfile's default image stays BiRefNet's."""
    services = parse(COMPOSE)[0]["services"]
    assert sorted(services) == ["head", "supervisor", "worker"]
    assert services["worker"]["deploy"]["replicas"] == 2
    for service in services.values():
        assert service["image"] == "bgremove-cluster"
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["environment"]["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?")
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert ("birefnet", "cluster") in stages
    assert stages[-1] == ("birefnet", "")


@pytest.mark.skipif(DOCKER is None, reason="needs Docker")
def test_docker_compose_accepts_its_file() -> None:
    """Without the plug-in there is nothing to ask."""
    run = [str(DOCKER), "compose"]
    if subprocess.run([*run, "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    done = subprocess.run(
        [*run, "-f", COMPOSE, "config", "--quiet"],
        env={"RAY_AUTH_TOKEN": "secret", "PATH": str(Path(str(DOCKER)).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
