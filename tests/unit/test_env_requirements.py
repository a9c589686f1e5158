"""Requirement lists, constraints, install plans and pip commands, from the project's own lists."""

import re
import sys
from pathlib import Path

import pytest

from shared.messages import Loader
from shared.pip_cleanup import remove_partial_packages
from supervisor.environment.diagnostics import Problem
from supervisor.environment.install_plan import (
    InstallPlan,
    PipCommand,
    merge_constraints,
    pip_commands,
    plan_install,
)
from supervisor.environment.inventory import loaded_versions
from supervisor.environment.report import PackageState, Report
from supervisor.environment.requirements import LISTS, MODULES, PackageLists, required_parts, requirement_name

ALL_LISTS = ("builtin", "native", "transformers")
NEEDED_BY = {
    "fastapi": ("server",),
    "uvicorn": ("server",),
    "multipart": ("server",),
    "torch": ("native", "transformers"),
    "torchvision": ("transformers",),
    "PIL": ALL_LISTS,
    "numpy": ALL_LISTS,
    "timm": ("transformers",),
    "kornia": ("transformers",),
    "skimage": ("transformers",),
    "huggingface_hub": ("native", "transformers"),
    "transformers": ("transformers",),
    "einops": ("transformers",),
}


def test_the_thirteen_modules_know_who_needs_them() -> None:
    """The status shows which missing packages the current loader needs."""
    shown = [package for package in PackageLists().packages() if package.shown]
    assert [(p.module, p.requirement) for p in shown] == list(MODULES)
    assert {package.module: package.needed_by for package in shown} == NEEDED_BY


def test_packages_without_a_row_are_checked_too() -> None:
    """The service needs them as well."""
    others = {p.module: p.needed_by for p in PackageLists().packages() if not p.shown}
    assert others["onnxruntime"] == ("builtin",)
    assert others["isal"] == ALL_LISTS
    assert others["safetensors"] == ("native", "transformers")
    assert others["pydantic_settings"] == ("server",)


def test_packages_of_other_platforms_are_ignored(tmp_path: Path) -> None:
    """Otherwise they would be reported as missing, and could never be installed."""
    for path in LISTS.values():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    server = f'here; sys_platform == "{sys.platform}"\nelsewhere; sys_platform == "plan9"\n'
    (tmp_path / LISTS["server"]).write_text(server)
    assert [package.name for package in PackageLists(tmp_path, ()).packages()] == ["here"]


def test_every_requirement_agrees_with_its_list_and_has_a_pinned_version() -> None:
    """The status must show the requirements that the lists install."""
    lists = PackageLists()
    pinned = {requirement_name(line) for line in lists.constraints().splitlines() if "==" in line}
    texts = "\n".join(path.read_text() for path in lists.root.glob("*/requirements*.txt"))
    for package in lists.packages():
        assert re.search(rf"^{re.escape(package.requirement)}$", texts, re.MULTILINE), package
        assert package.name in pinned


@pytest.mark.parametrize("loader", ["native", "transformers"])
def test_the_loader_decides_what_is_required(loader: Loader) -> None:
    """The native loader needs six packages less than transformers."""
    needed = required_parts(loader)
    required = {p.module for p in PackageLists().packages() if p.shown and needed & set(p.needed_by)}
    assert ("torchvision" in required) == (loader == "transformers")
    assert {"fastapi", "torch", "PIL", "numpy", "huggingface_hub"} <= required


def test_constraints_pin_loaded_packages() -> None:
    """pip must not replace a package that the running server uses."""
    text = "# tested with\nAnyIO==4.16.0\n\ntorch==2.13.0\n"
    merged = merge_constraints(text, {"anyio": "4.1", "zipp": "3.0"})
    assert merged.splitlines() == ["torch==2.13.0", "anyio==4.1", "zipp==3.0"]


def test_loaded_versions_have_normalised_names() -> None:
    """The constraints use the same names."""
    loaded = loaded_versions()
    assert {"pytest", "hypothesis", "typing-extensions", "psutil"} <= loaded.keys()
    assert all(re.match(r"\d", version) for version in loaded.values())


def test_a_startup_hook_does_not_pin_setuptools(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new virtual environment has an old setuptools; pinned, it would conflict with torch."""
    monkeypatch.delitem(sys.modules, "setuptools", raising=False)
    monkeypatch.setitem(sys.modules, "_distutils_hack", sys)
    assert "setuptools" not in loaded_versions()


def report(**wrong: str) -> Report:
    """Return a report of usable packages, except for those given as "missing", "partial" or "broken"."""
    states = []
    for package in PackageLists().packages():
        how = wrong.get(package.module, "")
        problem = Problem("It is broken.", fix=package.name) if how == "broken" else None
        present = how not in ("missing", "partial")
        version = None if how == "missing" else "1.0"
        usable = present and not problem
        states.append(
            PackageState(
                package, required=True, installed=present, version=version, problem=problem, usable=usable
            )
        )
    return Report(tuple(states))


def test_the_plan_has_missing_and_broken_packages_only() -> None:
    """A package whose metadata exists without its files counts as broken: pip considers it installed."""
    assert not plan_install(report(), ())
    plan = plan_install(report(transformers="missing", timm="broken", isal="partial"), ())
    assert (plan.missing, plan.broken) == (("transformers>=4.39.1",), ("isal", "timm"))
    assert not plan.includes_torch


def test_torch_and_torchvision_are_reinstalled_as_a_pair() -> None:
    """They are compiled against each other: one alone from another index would not match."""
    assert plan_install(report(torchvision="broken"), ()).broken == ("torchvision", "torch")
    assert plan_install(report(torch="broken", torchvision="missing"), ()) == InstallPlan(
        ("torchvision",), ("torch",)
    )


def test_a_working_torch_is_pinned() -> None:
    """It may be a build for the user's GPU, newer than that of the constraints."""
    plan = plan_install(report(kornia="missing"), ())
    assert plan.pinned == {"torch": "1.0", "torchvision": "1.0"}
    merged = merge_constraints("torch==2.13.0\nkornia==0.8.2\n", plan.pinned)
    assert merged.splitlines() == ["kornia==0.8.2", "torch==1.0", "torchvision==1.0"]
    assert not plan_install(report(torchvision="missing"), ()).pinned  # the two are installed as a pair


def test_loaded_packages_are_never_reinstalled() -> None:
    """The running server uses their files."""
    assert not plan_install(report(fastapi="broken"), {"fastapi": "1.0"})


def test_broken_packages_are_force_reinstalled_first() -> None:
    """Without their dependencies, which would include packages in use."""
    assert pip_commands(InstallPlan(("einops",), ("timm",)), None) == [
        PipCommand(("--force-reinstall", "--no-deps"), ("timm",)),
        PipCommand(("-U",), ("einops", "timm")),
    ]


def test_an_index_applies_to_torch_and_torchvision_together() -> None:
    """Also if only one of the two is missing."""
    source = ("--extra-index-url", "https://index.example")
    assert pip_commands(InstallPlan(("torchvision", "einops"), ()), source[1]) == [
        PipCommand(("-U", *source), ("torchvision", "einops", "torch"))
    ]


def test_only_leftovers_of_a_killed_pip_are_removed(tmp_path: Path) -> None:
    """pip would neither use nor remove them."""
    for name, file in {"whole-1.0.dist-info": "INSTALLER", "partial-1.0.dist-info": "METADATA"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    for name in ("~orch", "torch"):
        (tmp_path / name).mkdir()
    remove_partial_packages(tmp_path)
    remove_partial_packages(tmp_path / "nowhere")
    assert {path.name for path in tmp_path.iterdir()} == {"whole-1.0.dist-info", "torch"}
