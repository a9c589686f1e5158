"""The page that Prometheus reads: what was counted, and how things stand at this moment."""

from collections.abc import Iterator, Mapping

from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from supervisor import __version__
from supervisor.container import Container
from supervisor.observability.status_view import WorkerStatus, worker_status
from supervisor.workers.state import WorkerState


async def exposition(services: Container) -> bytes:
    """Return the metrics in Prometheus' text format, version 0.0.4."""
    workers = {worker.name: await worker_status(worker) for worker in services.models.workers}
    return generate_latest(_Page(services, workers))


class _Page(Collector):
    """Both kinds of metrics, in one."""

    def __init__(self, services: Container, workers: Mapping[str, WorkerStatus]) -> None:
        self._services = services
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        services = self._services
        yield from services.metrics.registry.collect()
        yield InfoMetricFamily("bgremove", "The service.", value={"version": __version__})
        yield GaugeMetricFamily("bgremove_uptime_seconds", "Since the service started.", services.uptime_s)
        removals = services.removals
        yield GaugeMetricFamily(
            "bgremove_queue_length", "Removals being received, waiting or running.", removals.queue_length
        )
        yield GaugeMetricFamily("bgremove_queue_limit", "How many there may be.", removals.queue_limit)
        yield from _worker_families(self._workers)


def _worker_families(workers: Mapping[str, WorkerStatus]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "bgremove_worker_state", "1 for the state it is in.", labels=["worker", "state"]
    )
    generation = GaugeMetricFamily("bgremove_worker_generation", "Number of its process.", labels=["worker"])
    restarts = CounterMetricFamily("bgremove_worker_restarts", "Starts but the first.", labels=["worker"])
    resident = GaugeMetricFamily(
        "bgremove_worker_resident_memory_bytes", "Of its process; 0 without one.", labels=["worker"]
    )
    device = GaugeMetricFamily(
        "bgremove_worker_device_memory_bytes", "Held on a device of its own.", labels=["worker"]
    )
    for name, worker in workers.items():
        for each in WorkerState:
            state.add_metric([name, each], float(worker["state"] == each))
        generation.add_metric([name], worker["generation"])
        restarts.add_metric([name], worker["restarts"])
        resident.add_metric([name], worker["rss_bytes"] or 0)
        device.add_metric([name], worker["device_memory_bytes"] or 0)
    yield from (state, generation, restarts, resident, device)
