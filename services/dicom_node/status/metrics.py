"""Metrics of the node. Labels hold steps, kinds, outcomes, codes and names of peers only."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.dicom_node.status.overview import STATES
from services.dicom_node.status.schemas import RegistryStatus

CACHE_S: Final = 5.0
Counts = Mapping[str, int]


class Receiver(Protocol):
    """Counts of a receiver since its start."""

    @property
    def instances(self) -> Counts:
        """Instances by what became of them."""


class DicomReceiver(Receiver, Protocol):
    """Counts of the DICOM port."""

    @property
    def rejected(self) -> Counts:
        """Rejected associations by reason."""

    @property
    def associations(self) -> int:
        """The number of established associations."""


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """Counts of the process; `step_failures` by code."""

    dimse: DicomReceiver
    stow: Receiver
    step_failures: Counts


class StatusMetrics(Collector):
    """Collects the metrics at each scrape; the registry is read at most every `cache_s` seconds."""

    def __init__(
        self,
        read: Callable[[], RegistryStatus],
        live: LiveCounts,
        quota_bytes: int,
        *,
        cache_s: float = CACHE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._live, self._quota_bytes = read, live, quota_bytes
        self._cache_s, self._clock = cache_s, clock
        self._lock = threading.Lock()
        self._cached: tuple[float, RegistryStatus] | None = None

    def collect(self) -> Iterator[Metric]:
        """Metrics of the receiver, and of the registry."""
        yield from self._received()
        failed = "Failed attempts to submit, to fetch and to build, by code"
        yield _counts("ich_node_step_failures", failed, "cause", self._live.step_failures)
        yield from self._registered(self._status())

    def _status(self) -> RegistryStatus:
        with self._lock:
            if self._cached is None or self._clock() - self._cached[0] >= self._cache_s:
                self._cached = self._clock(), self._read()
            return self._cached[1]

    def _received(self) -> Iterator[Metric]:
        yield _gauge("ich_node_associations", "Open associations of senders", self._live.dimse.associations)
        rejected = self._live.dimse.rejected
        yield _counts("ich_node_associations_rejected", "Rejected associations by reason", "reason", rejected)
        yield _counts("ich_node_c_store", "C-STORE requests by outcome", "outcome", self._live.dimse.instances)
        yield _counts("ich_node_stow", "Instances of STOW-RS requests by outcome", "outcome", self._live.stow.instances)

    def _registered(self, status: RegistryStatus) -> Iterator[Metric]:
        yield _gauges("ich_node_series", "Series by their step", "step", status.series)
        oldest = "Age of the oldest assessment with undelivered results; 0 without one"
        yield _gauge("ich_node_oldest_unsent_seconds", oldest, status.oldest_unsent_s)
        yield _count("ich_node_instances", "Received instances", status.instances)
        yield _count("ich_node_received_bytes", "Size of the received instances", status.received_bytes)
        yield _gauge("ich_node_stored_bytes", "Size of the received instances on disk", status.stored_bytes)
        yield _gauge("ich_node_quota_bytes", "Largest size of the received instances on disk", self._quota_bytes)
        yield _counts("ich_node_objects", "Result objects by kind", "kind", status.built)
        yield _gauges(
            "ich_node_failed_objects", "Objects that could not be built, by kind", "kind", status.failed_kinds
        )
        yield _transfers(status)
        yield from _deliveries(status)


def _transfers(status: RegistryStatus) -> Metric:
    text = "Associations, STOW-RS requests and pulls that sent instances, by outcome"
    family = CounterMetricFamily("ich_node_transfers", text, labels=["kind", "outcome"])
    for kind, outcomes in status.transfers.items():
        for outcome, count in outcomes.items():
            if outcome != "open":
                family.add_metric([kind, outcome], count)
    return family


def _deliveries(status: RegistryStatus) -> Iterator[Metric]:
    states = GaugeMetricFamily("ich_node_deliveries", "Result objects by their state", labels=["destination", "state"])
    oldest = GaugeMetricFamily(
        "ich_node_delivery_oldest_seconds", "Age of the oldest undelivered object", labels=["destination"]
    )
    text = "Undelivered objects by the code of their last failure"
    failures = GaugeMetricFamily("ich_node_delivery_failures", text, labels=["destination", "cause"])
    for found in status.destinations:
        for state in STATES:
            states.add_metric([found.name, state], getattr(found, state))
        oldest.add_metric([found.name], found.oldest_s)
        for code, count in found.failures.items():
            failures.add_metric([found.name, code], count)
    yield from (states, oldest, failures)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _count(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, counts: Counts) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _counts(name: str, text: str, label: str, counts: Counts) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in tuple(counts.items()):
        family.add_metric([value], count)
    return family
