"""Metrics for Prometheus: what was asked, how it was answered, how long it took, how batches gather."""

import os
from collections import defaultdict
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from agentsim.server.errors import TooManyRequests
from agentsim.server.operations import Operation

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_TOGETHER = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

REQUESTS = Counter("agentsim_requests", "HTTP requests", ["endpoint", "status"])
LATENCY = Histogram("agentsim_request_seconds", "Time to answer", ["endpoint"], buckets=_SECONDS)
BATCHES = Histogram("agentsim_batch_operations", "Operations that shared a transaction", buckets=_TOGETHER)
WAITING = Gauge(
    "agentsim_waiting_operations", "Operations that wait for the writer", multiprocess_mode="livesum"
)
RELOADS = Counter("agentsim_policy_reloads", "Changed policy files that were read", ["outcome"])
_OPERATIONS = Counter("agentsim_operations", "Operations of the token server", ["operation", "decision"])
#: By kind of operation and decision; labels are looked up once, not once a request.
OPERATIONS: dict[tuple[type, str], Any] = {
    (kind, decision): _OPERATIONS.labels(kind.__name__, decision)
    for kind in get_args(Operation)
    for decision in ("granted", "refused")
}


_LIMITED = Counter("agentsim_limited", "Refusals because a bucket was empty", ["bucket", "actor_class"])


def count_limited(refusal: TooManyRequests) -> None:
    """Count a refusal, of a decision or at the door; the door does not know everybody's class."""
    _LIMITED.labels(refusal.bucket, refusal.actor_class or "unknown").inc()


class RequestMeter:
    """Counts requests of one endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._latency = LATENCY.labels(endpoint)
        self._by_status: dict[int, Any] = {}

    def observe(self, status: int, seconds: float) -> None:
        """Count one request."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = REQUESTS.labels(self._endpoint, str(status))
        counter.inc()
        self._latency.observe(seconds)


class _Meters(defaultdict[str, RequestMeter]):
    def __missing__(self, endpoint: str) -> RequestMeter:
        meter = self[endpoint] = RequestMeter(endpoint)
        return meter


#: By name of the endpoint.
METERS = _Meters()


def exposition() -> bytes:
    """All metrics in Prometheus' text format; of all workers where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
