"""Metrics for Prometheus: counters and histograms of removals, and the present state of the service."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from supervisor import __version__
from supervisor.workers.spec import WorkerStatus
from supervisor.workers.state import WorkerState

DURATIONS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
COMPLETE = "complete"
WHOLE_REMOVAL = {"queued", "total"}  # timings that are no stages of a worker


class Metrics:
    """The counters and histograms of one application, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a gauge per counter, which nobody needs
        self.registry = CollectorRegistry()
        self._removals = Counter(
            "bgremove_removals",
            "Removals ended or refused for a full queue, by outcome: complete, or the error's code.",
            ["outcome"],
            registry=self.registry,
        )
        self._removals.labels(COMPLETE)  # so that it is exposed, as 0, before the first one
        self._queued = Histogram(
            "bgremove_queue_wait_seconds",
            "Time that successful removals spent in the queue.",
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        self._total = Histogram(
            "bgremove_removal_duration_seconds",
            "Time from a successful removal's acceptance to its result.",
            ["model"],
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        self._stages = Histogram(
            "bgremove_stage_duration_seconds",
            "Time of each stage of a removal in the worker: decode, inference, encode and others.",
            ["model", "stage"],
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        self._received = Counter(
            "bgremove_received_bytes",
            "Bytes of input images received, by source: upload or url.",
            ["source"],
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)  # of the supervisor itself; on Linux only

    def count_removal(self, code: str | None) -> None:
        """Count a removal that ended, or was refused for a full queue; `code` is None for a success."""
        self._removals.labels(code or COMPLETE).inc()

    def observe_timings(self, model: str, timings_ms: Mapping[str, float]) -> None:
        """Observe the timings of a successful removal, in milliseconds by stage."""
        self._queued.observe(timings_ms["queued"] / 1000)
        self._total.labels(model).observe(timings_ms["total"] / 1000)
        for stage in timings_ms.keys() - WHOLE_REMOVAL:
            self._stages.labels(model, stage).observe(timings_ms[stage] / 1000)

    def count_received_bytes(self, source: str, size_bytes: int) -> None:
        """Count the bytes of an input image."""
        self._received.labels(source).inc(size_bytes)


def render_metrics(
    metrics: Metrics,
    uptime_s: float,
    queue_length: int,
    queue_limit: int,
    workers: Sequence[WorkerStatus],
) -> bytes:
    """Return all metrics in Prometheus' text format, version 0.0.4."""
    present = _present_families(uptime_s, queue_length, queue_limit, workers)
    return generate_latest(_Snapshot([*metrics.registry.collect(), *present]))


class _Snapshot(Collector):
    """Collector of the metrics' values at one moment."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._families


def _present_families(
    uptime_s: float, queue_length: int, queue_limit: int, workers: Sequence[WorkerStatus]
) -> Iterator[Metric]:
    yield InfoMetricFamily("bgremove", "Version of the service.", value={"version": __version__})
    yield GaugeMetricFamily("bgremove_uptime_seconds", "Time since the service started.", uptime_s)
    yield GaugeMetricFamily(
        "bgremove_queue_length", "Removals being fetched, waiting or running.", queue_length
    )
    yield GaugeMetricFamily("bgremove_queue_limit", "Maximum of bgremove_queue_length.", queue_limit)
    yield from _worker_families(workers)


def _worker_families(workers: Sequence[WorkerStatus]) -> Iterator[Metric]:
    labels = ["model", "device"]
    state = GaugeMetricFamily(
        "bgremove_worker_state", "Worker state (1 for the current state).", labels=[*labels, "state"]
    )
    generation = GaugeMetricFamily(
        "bgremove_worker_generation", "Number of processes that the worker has started.", labels=labels
    )
    restarts = CounterMetricFamily(
        "bgremove_worker_restarts",
        "Starts of a worker process after the worker's first one.",
        labels=labels,
    )
    done = CounterMetricFamily(
        "bgremove_worker_jobs", "Removals that the worker has finished.", labels=labels
    )
    resident = GaugeMetricFamily(
        "bgremove_worker_resident_memory_bytes",
        "Resident memory of the worker process; 0 without one.",
        labels=labels,
    )
    device = GaugeMetricFamily(
        "bgremove_worker_device_memory_bytes", "GPU memory reserved by the worker.", labels=labels
    )
    for worker in workers:
        values = [worker["model"], worker["device"]]
        for each in WorkerState:
            state.add_metric([*values, each], float(worker["state"] == each))
        generation.add_metric(values, worker["generation"])
        restarts.add_metric(values, worker["restarts"])
        done.add_metric(values, worker["jobs_done"])
        resident.add_metric(values, worker["rss_bytes"] or 0)
        device.add_metric(values, worker["device_memory_bytes"] or 0)
    yield from (state, generation, restarts, done, resident, device, *_node_families(workers))


def _node_families(workers: Sequence[WorkerStatus]) -> Iterator[Metric]:
    labels = ["model", "node"]
    ready = GaugeMetricFamily(
        "bgremove_cluster_node_ready", "Whether a node of the cluster has the model loaded.", labels=labels
    )
    done = CounterMetricFamily(
        "bgremove_cluster_node_jobs", "Removals that a node of the cluster finished.", labels=labels
    )
    for worker in workers:
        for node in worker["nodes"]:
            ready.add_metric([worker["model"], node.name], float(node.state == "ready"))
            done.add_metric([worker["model"], node.name], node.jobs_done)
    yield from (ready, done)
