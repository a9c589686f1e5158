"""How the worker processes are started: the configuration for a model on a device, from the settings."""

import logging

from shared.errors import ModelUnavailable
from shared.messages import ClusterConfig, WorkerConfig, WorkerLoader
from supervisor.models.model_files import ModelFiles
from supervisor.settings import Settings
from supervisor.workers.device import Device
from supervisor.workers.spec import WorkerSpec

BRIDGE = "worker.cluster.bridge_main:serve"
BRIDGE_GRACE_S = 30.0  # the bridge ends a removal that takes too long, and the other ones go on
log = logging.getLogger("supervisor.models")


class WorkerSpecs:
    """Makes the specifications of worker processes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cluster = None
        if settings.cluster is not None:
            self._cluster = ClusterConfig(
                settings.cluster,
                str(settings.data_dir.absolute()),
                settings.cluster_gpus_per_actor,
                settings.cluster_cpus_per_actor,
                settings.job_timeout_s,
            )

    async def prepare(self, files: ModelFiles, device: Device) -> WorkerSpec:
        """Return how to start the process for a model on a device. Raises ModelUnavailable."""
        settings, spec = self._settings, files.spec
        path = await files.refresh()
        if path is None:
            raise ModelUnavailable
        loader: WorkerLoader = settings.loader if spec.kind == "birefnet" else "onnx"
        if loader == "transformers":
            log.warning("code from the hub enabled", extra={"model": spec.model_id, "snapshot": path.name})
        config = WorkerConfig(
            loader=loader,
            model_path=str(path.absolute()),
            max_pixels=settings.max_pixels,
            model_id=spec.model_id,
            device=device.torch_name,
            dtype=settings.dtype,
            input_size=spec.input_size,
            cpu_fallback=settings.cpu_fallback,
            threads=device.threads,
            network=spec.network,
            cluster=self._cluster if device.is_cluster else None,
        )
        entry = settings.birefnet_worker if spec.kind == "birefnet" else settings.builtin_worker
        job_timeout_s = settings.job_timeout_s
        if device.is_cluster:
            entry, job_timeout_s = BRIDGE, job_timeout_s + BRIDGE_GRACE_S
        return WorkerSpec(entry, config, settings.start_timeout_s, settings.load_timeout_s, job_timeout_s)
