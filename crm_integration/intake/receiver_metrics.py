"""What the receiver counts, in Prometheus' form.

Prevents a leak by label: a label is an outcome or a platform, never a path, a tenant or a value
that a sender chose.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500)


class ReceiverMetrics:
    """One set for one receiver, so that two in one process do not mix."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "crm_integration_webhook_answers",
            "Answers to deliveries, by what became of them.",
            ("outcome", "platform"),
            registry=self._registry,
        )
        self._answer_seconds = Histogram(
            "crm_integration_webhook_kept_seconds",
            "From the end of a kept delivery's header to its answer.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._commit_seconds = Histogram(
            "crm_integration_webhook_commit_seconds",
            "One commit into the drop table.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._commit_size = Histogram(
            "crm_integration_webhook_commit_deliveries",
            "Deliveries in one commit.",
            buckets=_SIZES,
            registry=self._registry,
        )
        gauge = Gauge(
            "crm_integration_webhook_waiting",
            "Deliveries that wait for their commit.",
            registry=self._registry,
        )
        gauge.set_function(waiting)

    def answered(self, outcome: str, platform: str, seconds: float) -> None:
        """An answer to a delivery; `platform` is "" where nobody knows whose it is."""
        self._answers.labels(outcome, platform).inc()
        if outcome == "kept":
            self._answer_seconds.observe(seconds)

    def committed(self, deliveries: int, seconds: float) -> None:
        """One commit is through."""
        self._commit_size.observe(deliveries)
        self._commit_seconds.observe(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
