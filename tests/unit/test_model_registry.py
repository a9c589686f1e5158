"""The registry: which models there are, and the configuration that reaches their workers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shared.catalog import BUILTIN, CATALOG, find_model
from shared.errors import ModelUnavailable, NotReady, UnknownModel
from shared.hub_cache import HubCache, cache_root
from shared.messages import WorkerConfig
from supervisor.models import registry
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.models.model_status import list_models
from supervisor.models.registry import BUILTIN_KEEP_ALIVE_S, Models
from supervisor.settings import load_settings
from supervisor.tasks.task_store import TaskStore
from supervisor.workers.spec import WorkerSpec


@pytest.fixture(autouse=True)
def no_rembg_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Look for rembg's models in a folder of the test's own."""
    folder = tmp_path / "u2net"
    monkeypatch.setattr(registry, "rembg_folders", lambda: [folder])
    return folder


def models_of(folder: Path, *arguments: str) -> Models:
    """Return the models as a supervisor with these flags has them."""
    settings = load_settings(["--data-dir", str(folder / "data"), *arguments])
    return Models(settings, TaskStore(60), folder)


def spec_of(model: ModelLifecycle) -> WorkerSpec:
    """Return how the first worker of a model is started."""
    worker = model.pool.workers[0]
    return asyncio.run(worker.process._prepare())  # type: ignore[arg-type]


def put_in_cache(folder: Path, repo_id: str) -> None:
    """Put a complete model into the cache of the data folder."""
    cache = HubCache(cache_root(folder / "data"), repo_id)
    blob = cache.blob("etag")
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"weights")
    cache.link("c" * 40, "model.safetensors", "etag")
    cache.write_manifest("main", "c" * 40, {"model.safetensors": "hash"}, code=False)


def test_every_setting_reaches_the_default_models_worker(tmp_path: Path) -> None:
    """Else photos are too large, or a device or a precision computes that nobody chose."""
    folder = tmp_path / "BiRefNet_HR-of-mine"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    limits = ["--max-pixels=123", "--device=cuda:1", "--dtype=float16", "--cpu-fallback"]
    times = ["--start-timeout-s=1", "--load-timeout-s=2", "--job-timeout-s=3"]
    how = [f"--model={folder}", "--loader=transformers", "--birefnet-worker=tests:mine"]
    models = models_of(tmp_path, *limits, *times, *how)
    config = WorkerConfig(
        loader="transformers",
        model_path=str(folder),
        max_pixels=123,
        model_id="BiRefNet_HR-of-mine",
        device="cuda:1",
        dtype="float16",
        input_size=(2048, 2048),
        cpu_fallback=True,
    )
    expected = WorkerSpec("tests:mine", config, start_timeout_s=1, load_timeout_s=2, job_timeout_s=3)
    assert spec_of(models.default) == expected


def test_an_onnx_models_worker_gets_its_network_and_computes_on_the_cpu(
    tmp_path: Path, no_rembg_models: Path
) -> None:
    """With another normalisation, or at another size, its mattes are poor."""
    no_rembg_models.mkdir()
    (no_rembg_models / "isnet-anime.onnx").write_bytes(b"onnx")
    models = models_of(tmp_path, "--max-pixels=123", "--device=cuda:0,cuda:1")
    model = models.find("isnet-anime")
    assert [worker.name for worker in model.pool.workers] == ["isnet-anime@cpu"]
    config = spec_of(model).config
    assert (config.loader, config.device, config.max_pixels) == ("onnx", "cpu", 123)
    assert (config.input_size, config.network) == ((1024, 1024), find_model("isnet-anime").network)


def test_a_worker_of_each_device_knows_its_own(tmp_path: Path) -> None:
    """Two workers on one GPU would leave the other one idle."""
    models = models_of(tmp_path, "--device=cuda:0,cuda:1,cpu*2")
    put_in_cache(tmp_path, "ZhengPeng7/BiRefNet")
    workers = models.default.pool.workers
    assert [worker.name for worker in workers] == [
        f"BiRefNet@{device}" for device in ("cuda:0", "cuda:1", "cpu:0", "cpu:1")
    ]
    specs: list[WorkerSpec] = [
        asyncio.run(worker.process._prepare())  # type: ignore[arg-type]
        for worker in workers
    ]
    assert [spec.config.device for spec in specs] == ["cuda:0", "cuda:1", "cpu", "cpu"]
    assert [bool(spec.config.threads) for spec in specs] == [False, False, True, True]
    builtin = models.builtin.pool.workers
    assert [worker.name for worker in builtin] == ["builtin@cpu:0", "builtin@cpu:1"]


def test_only_the_built_in_models_worker_ends_by_itself_unless_all_are_to(tmp_path: Path) -> None:
    """It loads in half a second and would hold its memory forever; a large model is to stay."""
    for arguments, birefnet_s, builtin_s in (
        ((), None, BUILTIN_KEEP_ALIVE_S),
        (("--keep-alive-s=5",), 5, 5),
    ):
        models = models_of(tmp_path, *arguments)
        assert models.default.pool.workers[0]._keep_alive_s == birefnet_s
        assert models.builtin.pool.workers[0]._keep_alive_s == builtin_s


def test_a_loaded_model_is_used_though_its_files_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a user who tidies up the disk gets results of the other model, without a word."""
    models = models_of(tmp_path)
    assert models.resolve("auto") is models.builtin
    monkeypatch.setattr(ModelLifecycle, "live", property(lambda life: life.pool.name == "BiRefNet"))
    assert models.resolve("auto") is models.default


@pytest.mark.parametrize(
    ("served", "name", "found"),
    [
        ("BiRefNet_lite", "birefnet", "BiRefNet_lite"),
        ("BiRefNet_lite", "BiRefNet", "BiRefNet"),
        ("BiRefNet", "zhengpeng7/birefnet_hr", "BiRefNet_HR"),
        ("BiRefNet", "builtin", "builtin"),
        ("BiRefNet", "U2NET", "u2net"),
        ("u2net", "birefnet", "u2net"),
        ("me/shoes", "me/shoes", "me/shoes"),
    ],
)
def test_a_model_is_found_by_its_name(tmp_path: Path, served: str, name: str, found: str) -> None:
    """`birefnet` is whichever model the settings name."""
    assert models_of(tmp_path, f"--model={served}").find(name).pool.name == found


@pytest.mark.parametrize("wanted", ["unet", "birefnet_ite", "../secret", "/etc", "a/b/c", "x" * 500])
def test_an_unknown_name_is_refused_with_near_ones(tmp_path: Path, wanted: str) -> None:
    """A path of this machine is none of a client's business."""
    with pytest.raises(UnknownModel) as refused:
        models_of(tmp_path).find(wanted)
    if wanted == "unet":
        assert "u2net" in refused.value.detail


def test_a_model_that_is_not_on_disk_is_downloaded_only_where_that_is_allowed(tmp_path: Path) -> None:
    """A client must not fill the disk of others; `birefnet` was always downloaded when it was needed."""

    async def scenario() -> None:
        models = models_of(tmp_path)
        for allowed in ("auto", "builtin", "birefnet"):
            await models.check_available(allowed)
        for refused in ("BiRefNet_HR", "u2net", "me/shoes", "silueta"):
            with pytest.raises(ModelUnavailable):
                await models.check_available(refused)
        eager = models_of(tmp_path, "--auto-download")
        await eager.check_available("u2net")
        for refused in ("me/shoes", "silueta"):
            with pytest.raises(ModelUnavailable):
                await eager.check_available(refused)
        put_in_cache(tmp_path, "ZhengPeng7/BiRefNet_HR")
        await models.check_available("BiRefNet_HR")
        await models.find("BiRefNet_HR").fetch_files(lambda _percent, _message: None)
        await models.delete("BiRefNet_HR")  # while its removal waits
        with pytest.raises(ModelUnavailable):
            await models.find("BiRefNet_HR").fetch_files(lambda _percent, _message: None)

    asyncio.run(scenario())


def test_names_that_clients_make_up_take_no_memory(tmp_path: Path) -> None:
    """Each model that is known has a worker pool."""

    async def scenario() -> None:
        models = models_of(tmp_path)
        count = len(list(models))
        for number in range(5):
            with pytest.raises(ModelUnavailable):
                await models.check_available(f"me/model{number}")
            assert await models.delete(f"me/model{number}") == 0
            assert not (await models.unload(f"me/model{number}"))["unloaded"]
        assert len(list(models)) == count

    asyncio.run(scenario())


def test_models_are_listed_with_their_state(tmp_path: Path, no_rembg_models: Path) -> None:
    """Those of the catalogue, those downloaded by their hub id, and rembg's own files."""
    put_in_cache(tmp_path, "me/shoes")
    no_rembg_models.mkdir()
    (no_rembg_models / "silueta.onnx").write_bytes(b"onnx")
    listed = asyncio.run(list_models(models_of(tmp_path, "--model=BiRefNet_HR")))
    by_name: dict[str, Any] = {each["name"]: each for each in listed}
    assert listed[0]["name"] == "BiRefNet_HR"
    assert listed[0]["default"]
    assert {spec.name for spec in CATALOG} <= set(by_name)
    assert "isnet-anime" not in by_name, "it can be neither used nor downloaded"
    assert by_name["silueta"]["state"] == by_name["me/shoes"]["state"] == "on_disk"
    assert by_name["me/shoes"]["disk_bytes"] >= len(b"weights")
    assert by_name["silueta"]["disk_bytes"] == 0, "rembg's own file is not deleted here"
    assert by_name["u2net"]["state"] == "available"
    assert by_name[BUILTIN.name]["kind"] == "builtin"
    assert "DIS5K" in by_name["BiRefNet"]["licence_caveat"]


def test_a_downloaded_model_is_deleted_with_all_its_files(tmp_path: Path) -> None:
    """Which may be a gigabyte; another repository's files stay."""
    put_in_cache(tmp_path, "me/shoes")
    put_in_cache(tmp_path, "me/shoes2")

    async def scenario() -> None:
        models = models_of(tmp_path)
        assert await models.delete("me/shoes") >= len(b"weights")
        with pytest.raises(ModelUnavailable):
            await models.check_available("me/shoes")
        await models.check_available("me/shoes2")

    asyncio.run(scenario())
    left = [path.name for path in cache_root(tmp_path / "data").rglob("*") if "shoes" in path.name]
    assert sorted(left) == ["models--me--shoes2", "models--me--shoes2@main.json"]


def test_no_model_is_added_while_packages_are_installed(tmp_path: Path) -> None:
    """Its worker would be started with half an environment."""
    put_in_cache(tmp_path, "me/shoes")

    async def scenario() -> None:
        models = models_of(tmp_path)
        async with models.pause():
            await list_models(models)
            with pytest.raises(NotReady):
                await models.check_available("me/shoes")
        await models.check_available("me/shoes")

    asyncio.run(scenario())


@pytest.mark.parametrize("choice", ["auto", "birefnet", "builtin"])
def test_an_upload_for_a_main_model_waits_for_no_look_at_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    """The dispatcher looks when the job's turn comes; a slow disk would delay every answer."""

    async def look(_: object) -> None:
        raise AssertionError("it looked at the disk")

    models = models_of(tmp_path)
    for files in (models.default.files, models.builtin.files):
        monkeypatch.setattr(type(files), "refresh", look)
    asyncio.run(models.check_available(choice))
