"""Which names lead to which model."""

from pathlib import Path

import pytest

from shared.catalog import CATALOG, DEFAULT_MODEL, find
from shared.errors import UnknownModel


@pytest.mark.parametrize("spec", CATALOG, ids=lambda spec: spec.name)
def test_every_model_is_found_by_its_name_in_any_case_and_by_its_hub_id(spec: object) -> None:
    """Nobody remembers which letters are capitals."""
    assert spec in CATALOG
    for known in CATALOG:
        if known is spec:
            assert find(known.name.lower()) is find(known.name.upper()) is find(known.model_id) is known


def test_the_family_is_what_it_is() -> None:
    """A wrong backbone or size loads nothing, or cuts out badly."""
    facts = {spec.name: (spec.backbone, spec.input_size) for spec in CATALOG}
    assert len(facts) == 9
    assert facts["BiRefNet"] == ("swin_v1_l", (1024, 1024))
    assert facts["BiRefNet_lite-2K"] == ("swin_v1_t", (2560, 1440))
    assert facts["BiRefNet_HR-matting"] == ("swin_v1_l", (2048, 2048))
    assert {spec.licence for spec in CATALOG} == {"MIT"}
    assert all(spec.model_id == f"ZhengPeng7/{spec.name}" for spec in CATALOG)
    assert find(DEFAULT_MODEL) is CATALOG[0]
    assert facts["BiRefNet_dynamic"] == ("swin_v1_l", range(256, 2305, 32))


def test_a_fine_tune_is_known_by_its_hub_id_alone() -> None:
    """What it is made of, its weights tell; under which licence it is, we cannot say."""
    spec = find("somebody/my.fine-tune_2")
    assert (spec.name, spec.model_id) == ("my.fine-tune_2", "somebody/my.fine-tune_2")
    assert (spec.backbone, spec.licence, spec.input_size) == (None, None, (1024, 1024))


def test_a_folder_is_a_model_and_its_path_is_nobodys_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients see the status."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (str(folder), "./mine"):
        spec = find(name)
        assert (spec.folder, spec.repo_id, spec.model_id) == (folder.resolve(), None, "mine")


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
def test_anything_else_is_refused_with_the_names_or_the_folder(name: str) -> None:
    """The person has mistyped, and needs to see what there is."""
    with pytest.raises(UnknownModel) as caught:
        find(name)
    assert "BiRefNet_lite-2K" in caught.value.detail or "no folder" in caught.value.detail
