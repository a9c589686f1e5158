"""From a loader's name to a loaded engine. Each worker imports the libraries of its own engine alone."""

from shared.messages import WorkerConfig
from shared.quick_imports import quick_imports
from worker.engines import Engine, OnLoading


def load(config: WorkerConfig, on_loading: OnLoading) -> Engine:
    """Load the model with the engine that `config.loader` names. Raises errors of `shared.errors`."""
    match config.loader:
        case "builtin":
            from worker.engines.builtin import BuiltinEngine  # noqa: PLC0415  # as the module says

            return BuiltinEngine(config)
        case "native":
            on_loading(0, "Starting PyTorch")
            with quick_imports():  # torch takes seconds
                from worker.engines import birefnet, native  # noqa: PLC0415  # as the module says

            return birefnet.BirefnetEngine(config, native.load, on_loading)
        case "transformers":
            on_loading(0, "Starting transformers")
            with quick_imports():
                from worker.engines import birefnet, transformers  # noqa: PLC0415  # as the module says

            return birefnet.BirefnetEngine(config, transformers.load, on_loading)
