"""The table of packages, the constraints and the runs of pip, as made from the project's own lists."""

import re
import sys
from pathlib import Path

import pytest

from shared.messages import Loader
from shared.pip_cleanup import remove_partial_packages
from supervisor.environment.diagnostics import Problem
from supervisor.environment.install_plan import PipRun, Wanted, merged_constraints, steps, wanted
from supervisor.environment.inventory import loaded_versions
from supervisor.environment.report import PackageState, Report
from supervisor.environment.requirements import LISTS, MODULES, PackageLists, name_of, required_by

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
    """The table tells the user which of the missing ones matter for the loader in use."""
    shown = [package for package in PackageLists().packages() if package.shown]
    assert [(p.module, p.requirement) for p in shown] == list(MODULES)
    assert {package.module: package.needed_by for package in shown} == NEEDED_BY


def test_packages_beyond_the_table_are_watched_too() -> None:
    """Without them the service does not work either."""
    others = {p.module: p.needed_by for p in PackageLists().packages() if not p.shown}
    assert others["onnxruntime"] == ("builtin",)
    assert others["isal"] == ALL_LISTS
    assert others["safetensors"] == ("native", "transformers")
    assert others["pydantic_settings"] == ("server",)


def test_a_package_for_other_systems_is_not_missed(tmp_path: Path) -> None:
    """Else the status would ask for ever for what cannot be installed here."""
    for path in LISTS.values():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    server = f'here; sys_platform == "{sys.platform}"\nelsewhere; sys_platform == "plan9"\n'
    (tmp_path / LISTS["server"]).write_text(server)
    assert [package.name for package in PackageLists(tmp_path, ()).packages()] == ["here"]


def test_every_requirement_agrees_with_its_list_and_has_a_pinned_version() -> None:
    """What the status tells people to install must be what the lists install."""
    lists = PackageLists()
    pinned = {name_of(line) for line in lists.constraints().splitlines() if "==" in line}
    texts = "\n".join(path.read_text() for path in lists.root.glob("*/requirements*.txt"))
    for package in lists.packages():
        assert re.search(rf"^{re.escape(package.requirement)}$", texts, re.MULTILINE), package
        assert package.name in pinned


@pytest.mark.parametrize("loader", ["native", "transformers"])
def test_the_loader_decides_what_is_required(loader: Loader) -> None:
    """The native loader is there so that six packages need not be."""
    needed = required_by(loader)
    required = {p.module for p in PackageLists().packages() if p.shown and needed & set(p.needed_by)}
    assert ("torchvision" in required) == (loader == "transformers")
    assert {"fastapi", "torch", "PIL", "numpy", "huggingface_hub"} <= required


def test_constraints_hold_loaded_packages_to_their_versions() -> None:
    """pip must not replace a package under the running server, whatever version was tested with."""
    text = "# tested with\nAnyIO==4.16.0\n\ntorch==2.13.0\n"
    merged = merged_constraints(text, {"anyio": "4.1", "zipp": "3.0"})
    assert merged.splitlines() == ["torch==2.13.0", "anyio==4.1", "zipp==3.0"]


def test_this_process_knows_what_it_has_loaded() -> None:
    """The names have to be those that the constraints use."""
    loaded = loaded_versions()
    assert {"pytest", "hypothesis", "typing-extensions", "psutil"} <= loaded.keys()
    assert all(re.match(r"\d", version) for version in loaded.values())


def test_a_hook_that_every_interpreter_runs_holds_no_package_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh virtual environment's old setuptools, held to its version, would keep torch out."""
    monkeypatch.delitem(sys.modules, "setuptools", raising=False)
    monkeypatch.setitem(sys.modules, "_distutils_hack", sys)
    assert "setuptools" not in loaded_versions()


def report(**wrong: str) -> Report:
    """A report in which every package is there and works but these: "missing", "half" or "broken"."""
    states = []
    for package in PackageLists().packages():
        how = wrong.get(package.module, "")
        problem = Problem("It is broken.", mend=package.name) if how == "broken" else None
        there = how not in ("missing", "half")
        version = None if how == "missing" else "1.0"
        usable = there and not problem
        states.append(
            PackageState(
                package, required=True, installed=there, version=version, problem=problem, usable=usable
            )
        )
    return Report(tuple(states))


def test_only_what_is_missing_or_broken_is_wanted() -> None:
    """pip takes a package whose files are gone for installed, as long as its metadata is there."""
    assert not wanted(report(), ())
    work = wanted(report(transformers="missing", timm="broken", isal="half"), ())
    assert (work.fresh, work.again) == (("transformers>=4.39.1",), ("isal", "timm"))
    assert not work.torch


def test_torch_and_torchvision_are_installed_anew_as_a_pair() -> None:
    """Each is compiled against the other: one alone from another index would not match again."""
    assert wanted(report(torchvision="broken"), ()).again == ("torchvision", "torch")
    assert wanted(report(torch="broken", torchvision="missing"), ()) == Wanted(("torchvision",), ("torch",))


def test_a_torch_that_works_stays_whatever_else_is_installed() -> None:
    """It may be a build for the user's GPU, newer than the one this was tested with."""
    work = wanted(report(kornia="missing"), ())
    assert work.kept == {"torch": "1.0", "torchvision": "1.0"}
    held = merged_constraints("torch==2.13.0\nkornia==0.8.2\n", work.kept)
    assert held.splitlines() == ["kornia==0.8.2", "torch==1.0", "torchvision==1.0"]
    assert not wanted(report(torchvision="missing"), ()).kept  # the two are installed as a pair


def test_what_is_loaded_is_never_installed_anew() -> None:
    """Its files would change under the running server."""
    assert not wanted(report(fastapi="broken"), {"fastapi": "1.0"})


def test_broken_packages_are_forced_and_then_everything_is_completed() -> None:
    """Without dependencies first: reinstalling those too would touch packages in use."""
    assert steps(Wanted(("einops",), ("timm",)), None) == [
        PipRun(("--force-reinstall", "--no-deps"), ("timm",)),
        PipRun(("-U",), ("einops", "timm")),
    ]


def test_the_cpu_index_serves_torch_and_torchvision_together() -> None:
    """Also where only one of the two is missing."""
    source = ("--extra-index-url", "https://index.example")
    assert steps(Wanted(("torchvision", "einops"), ()), source[1]) == [
        PipRun(("-U", *source), ("torchvision", "einops", "torch"))
    ]


def test_what_a_killed_pip_leaves_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    """pip would neither use it nor clear it away."""
    for name, file in {"whole-1.0.dist-info": "INSTALLER", "torn-1.0.dist-info": "METADATA"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    for name in ("~orch", "torch"):
        (tmp_path / name).mkdir()
    remove_partial_packages(tmp_path)
    remove_partial_packages(tmp_path / "nowhere")
    assert {path.name for path in tmp_path.iterdir()} == {"whole-1.0.dist-info", "torch"}
