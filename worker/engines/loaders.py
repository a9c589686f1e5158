"""Selects and loads the engine of a worker; imports it lazily, since each worker needs only one."""

from shared.errors import WorkerStartFailed
from shared.gc_pause import pause_gc
from shared.messages import WorkerConfig
from worker.engines import DeviceFn, Engine, LoadProgressFn, ignore_device


def load(config: WorkerConfig, on_progress: LoadProgressFn, on_device: DeviceFn = ignore_device) -> Engine:
    """Load the model with the engine that `config.loader` names. Raises errors of `shared.errors`."""
    try:
        return _load(config, on_progress, on_device)
    except ModuleNotFoundError as error:
        raise WorkerStartFailed(
            f"The package {error.name} is not installed: run 'python3 scripts/bgremove.py install'."
        ) from error


def _load(config: WorkerConfig, on_progress: LoadProgressFn, on_device: DeviceFn) -> Engine:
    match config.loader:
        case "onnx":
            from worker.engines.onnx_engine import OnnxEngine  # noqa: PLC0415  # lazy, as above

            return OnnxEngine(config)
        case "native":
            on_progress(0, "Starting PyTorch")
            with pause_gc():  # importing torch takes seconds
                from worker.engines import birefnet_engine, native_loader  # noqa: PLC0415  # lazy, as above

            return birefnet_engine.BirefnetEngine(config, native_loader.load, on_progress, on_device)
        case "transformers":
            on_progress(0, "Starting transformers")
            with pause_gc():
                from worker.engines import (  # noqa: PLC0415  # lazy, as above
                    birefnet_engine,
                    transformers_loader,
                )

            return birefnet_engine.BirefnetEngine(config, transformers_loader.load, on_progress, on_device)
