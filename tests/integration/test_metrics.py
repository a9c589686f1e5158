"""What an operator's Prometheus reads, by the parser of its own library."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from supervisor import __version__
from tests.photos import wish
from tests.service import OBEYS, Service, wait_for

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(service: Service, path: str = "/api/v1/metrics") -> Samples:
    """Read the page as Prometheus does: every sample by its name and its labels."""
    answer = service.client.get(service.url + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "no sample may be exposed twice"
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return one sample's value."""
    return samples[f"bgremove_{name}", frozenset(labels.items())]


def test_removals_are_counted_by_their_outcome_and_timed(start: Callable[..., Service]) -> None:
    """An operator sees what fails, and where the time goes."""
    service = start(builtin_worker=OBEYS)
    assert value(scraped(service), "removals_total", outcome="complete") == 0
    photos = [wish("first"), wish("second one"), wish("fail")]
    for photo in photos:
        service.finished(service.upload(photo))
    samples = scraped(service)
    assert value(samples, "removals_total", outcome="complete") == 2
    assert value(samples, "removals_total", outcome="damaged_image") == 1
    assert value(samples, "received_bytes_total", source="upload") == sum(map(len, photos))
    for stage in ("decode", "inference", "encode"):
        name = "stage_duration_seconds"
        assert value(samples, f"{name}_count", model="builtin", stage=stage) == 2
        assert value(samples, f"{name}_sum", model="builtin", stage=stage) == pytest.approx(0.002)
    assert value(samples, "queue_wait_seconds_count") == 2
    total = value(samples, "removal_duration_seconds_sum", model="builtin")
    assert total >= value(samples, "queue_wait_seconds_sum") > -1e-9
    assert value(samples, "removal_duration_seconds_bucket", model="builtin", le="+Inf") == 2


def test_the_queue_and_what_it_refuses_are_told(start: Callable[..., Service]) -> None:
    """Alarms are set on these."""
    service = start(builtin_worker=OBEYS, queue_limit=1)
    task_id = service.upload(wish("sleep 60"))
    refused = service.client.post("/remove/upload", files={"file": ("p.png", wish())})
    assert refused.status_code == 429
    samples = scraped(service)
    assert (value(samples, "queue_length"), value(samples, "queue_limit")) == (1, 1)
    assert value(samples, "removals_total", outcome="queue_full") == 1
    service.client.delete(f"/tasks/{task_id}")
    samples = scraped(service)
    assert value(samples, "queue_length") == 0
    assert value(samples, "removals_total", outcome="cancelled") == 1


def test_workers_are_told_as_the_status_tells_them(start: Callable[..., Service]) -> None:
    """A worker that dies again and again must be seen from afar."""
    service = start(builtin_worker=OBEYS)
    states = ("stopped", "starting", "ready", "busy", "stopping", "failed")

    builtin = {"model": "builtin", "device": "cpu"}

    def state(samples: Samples, **worker: str) -> str:
        (only,) = [each for each in states if value(samples, "worker_state", state=each, **worker)]
        return only

    before = scraped(service)
    assert state(before, **builtin) == state(before, model="BiRefNet", device="auto") == "stopped"
    assert value(before, "worker_resident_memory_bytes", **builtin) == 0
    service.finished(service.upload(wish("signal SIGSEGV")))
    service.cut(wish())
    wait_for(lambda: service.worker()["state"] == "ready")
    samples, status = scraped(service), service.worker()
    assert state(samples, **builtin) == status["state"]
    assert value(samples, "worker_generation", **builtin) == status["generation"] == 3
    assert value(samples, "worker_restarts_total", **builtin) == status["restarts"] == 2
    resident = value(samples, "worker_resident_memory_bytes", **builtin)
    assert resident == pytest.approx(status["rss_bytes"], rel=0.2)


def test_the_page_is_where_prometheus_looks_and_says_who_it_is(
    start: Callable[..., Service], fake: Service
) -> None:
    """Its default path is /metrics; two services on one machine never mix their numbers."""
    before = value(scraped(fake, "/metrics"), "removals_total", outcome="complete")
    other = start(builtin_worker=OBEYS)
    fake.cut(wish())
    assert value(scraped(fake, "/metrics"), "removals_total", outcome="complete") == before + 1
    samples = scraped(other, "/metrics")
    assert value(samples, "removals_total", outcome="complete") == 0
    assert value(samples, "info", version=__version__) == 1
    assert 0 < value(samples, "uptime_seconds") < 600
