"""From a loader's name to a loaded engine. Each worker imports the libraries of its own engine alone."""

from shared.gc_pause import pause_gc
from shared.messages import WorkerConfig
from worker.engines import Engine, OnLoading


def load(config: WorkerConfig, on_loading: OnLoading) -> Engine:
    """Load the model with the engine that `config.loader` names. Raises errors of `shared.errors`."""
    match config.loader:
        case "builtin":
            from worker.engines.builtin_engine import BuiltinEngine  # noqa: PLC0415  # as the module says

            return BuiltinEngine(config)
        case "native":
            on_loading(0, "Starting PyTorch")
            with pause_gc():  # torch takes seconds
                from worker.engines import birefnet_engine, native_loader  # noqa: PLC0415  # as the module says

            return birefnet_engine.BirefnetEngine(config, native_loader.load, on_loading)
        case "transformers":
            on_loading(0, "Starting transformers")
            with pause_gc():
                from worker.engines import (  # noqa: PLC0415  # as the module says
                    birefnet_engine,
                    transformers_loader,
                )

            return birefnet_engine.BirefnetEngine(config, transformers_loader.load, on_loading)
