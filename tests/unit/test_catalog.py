"""The model catalogue: lookup by name, hub id and folder, and input sizes."""

from pathlib import Path

import pytest

from shared.catalog import CATALOG, DEFAULT_MODEL, ModelSpec, find_model
from shared.errors import UnknownModel


@pytest.mark.parametrize("spec", CATALOG, ids=lambda spec: spec.name)
def test_a_model_is_found_by_its_name_in_any_case_and_by_its_hub_id(spec: ModelSpec) -> None:
    """Names mix upper and lower case in ways that nobody remembers."""
    assert find_model(spec.name.lower()) is find_model(spec.name.upper()) is find_model(spec.model_id) is spec


def test_the_catalogues_input_sizes_and_licences() -> None:
    """At a wrong input size, a network's mattes are poor."""
    sizes = {spec.name: spec.input_size for spec in CATALOG}
    assert len(sizes) == 11
    assert sizes["BiRefNet_lite-matting"] == sizes["lucida"] == (1024, 1024)
    assert sizes["BiRefNet"] == (1024, 1024)
    assert sizes["BiRefNet_lite-2K"] == (2560, 1440)
    assert sizes["BiRefNet_HR-matting"] == (2048, 2048)
    assert sizes["BiRefNet_dynamic"] == range(256, 2305, 32)
    assert {spec.licence for spec in CATALOG} == {"MIT"}
    assert all(spec.model_id == f"ZhengPeng7/{spec.name}" for spec in CATALOG if spec.name != "lucida")
    assert find_model(DEFAULT_MODEL) is CATALOG[0]


def test_a_fine_tune_is_found_by_its_hub_id() -> None:
    """Its backbone is detected from its weights; its licence is unknown."""
    spec = find_model("somebody/my.fine-tune_2")
    assert spec.name == spec.model_id == "somebody/my.fine-tune_2"
    assert (spec.licence, spec.input_size) == (None, (1024, 1024))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("me/BiRefNet_HR-shoes", "BiRefNet_HR"),
        ("me/birefnet_hr-matting2", "BiRefNet_HR-matting"),
        ("ZhengPeng7/BiRefNet_dynamic-matting", "BiRefNet_dynamic"),
        ("me/BiRefNet-shoes", "BiRefNet"),
        ("./BiRefNet_HR", "BiRefNet_HR"),
    ],
)
def test_a_fine_tune_named_after_a_model_gets_its_input_size(
    name: str, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network trained at 2048 pixels loses its detail at 1024."""
    (tmp_path / "BiRefNet_HR").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_model(name).input_size == find_model(base).input_size


def test_a_local_folder_is_a_model_whose_id_holds_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients see the id in the status."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (str(folder), "./mine"):
        spec = find_model(name)
        assert (spec.path, spec.repo_id, spec.model_id) == (folder.resolve(), None, "mine")


def test_a_file_in_a_cache_of_the_hub_is_a_model(tmp_path: Path) -> None:
    """It is a link to a file that is named by its hash."""
    blob = tmp_path / "8d10d2"
    blob.touch()
    link = tmp_path / "BiRefNet_HR-shoes.safetensors"
    link.symlink_to(blob)
    spec = find_model(str(link))
    assert (spec.path, spec.model_id, spec.input_size) == (link, "BiRefNet_HR-shoes", (2048, 2048))
    link.unlink()
    link.mkdir()  # a folder may have any name
    assert find_model(str(link)).path == link.resolve()
    with pytest.raises(UnknownModel):
        find_model(str(blob))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "birefnet_huge",
        "a/b/c",
        "../nothing",
        "/nothing/there",
        "~nobody-here/x",
        "a/../b",
        "a/b--c",
        "a/b.",
    ],
)
def test_an_unknown_name_is_rejected_with_the_valid_ones(name: str) -> None:
    """Or, for a path, with the missing folder."""
    with pytest.raises(UnknownModel) as caught:
        find_model(name)
    assert "BiRefNet_lite-2K" in caught.value.detail or "no folder" in caught.value.detail
