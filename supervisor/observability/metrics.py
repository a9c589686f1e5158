"""What is counted as it happens, named and measured as Prometheus' conventions have it."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

DURATIONS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
COMPLETE = "complete"
WHOLE_REMOVAL = {"queued", "total"}  # timings that are no stages of a worker's


class Metrics:
    """The counters of one application, in a registry of their own."""

    def __init__(self) -> None:
        # A gauge beside each counter, which nobody asked for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._removals = Counter(
            "bgremove_removals",
            "Removals that ended, by how: complete, or the error's code.",
            ["outcome"],
            registry=self.registry,
        )
        self._removals.labels(COMPLETE)  # so that it is there, as 0, before the first one
        self._queued = Histogram(
            "bgremove_queue_wait_seconds",
            "From a removal's acceptance to its turn, for removals that completed.",
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        self._total = Histogram(
            "bgremove_removal_duration_seconds",
            "From a removal's acceptance to its result.",
            ["model"],
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        self._stages = Histogram(
            "bgremove_stage_duration_seconds",
            "The worker's stages of a removal: decode, inference, encode and others.",
            ["model", "stage"],
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        self._received = Counter(
            "bgremove_received_bytes",
            "Photos taken in, by upload or from a url.",
            ["source"],
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)  # of the supervisor itself; tells nothing but on Linux

    def ended(self, code: str | None) -> None:
        """Count a removal that ended, or was refused for a full queue; `code` is None for a good end."""
        self._removals.labels(code or COMPLETE).inc()

    def timed(self, model: str, timings_ms: Mapping[str, float]) -> None:
        """Take down how long a completed removal took, in milliseconds by stage."""
        self._queued.observe(timings_ms["queued"] / 1000)
        self._total.labels(model).observe(timings_ms["total"] / 1000)
        for stage in timings_ms.keys() - WHOLE_REMOVAL:
            self._stages.labels(model, stage).observe(timings_ms[stage] / 1000)

    def received(self, source: str, size_bytes: int) -> None:
        """Count the bytes of a photo that came in whole."""
        self._received.labels(source).inc(size_bytes)
