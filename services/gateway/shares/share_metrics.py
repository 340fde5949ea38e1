"""Metrics of shares: how full they are."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.shares.fair_shares import FairShares
from services.gateway.shares.upload_shares import Uploads


class ShareMetrics(Collector):
    """Collects the metrics at each scrape."""

    def __init__(self, uploads: Uploads, listeners: FairShares) -> None:
        self._uploads, self._listeners = uploads, listeners

    def collect(self) -> Iterator[Metric]:
        """Uploads and streams of events in use."""
        yield GaugeMetricFamily("ich_uploads", "Uploads being received", self._uploads.count.used)
        yield GaugeMetricFamily("ich_upload_bytes", "Bytes of uploads in progress on disk", self._uploads.bytes.used)
        yield GaugeMetricFamily("ich_listeners", "Streams of jobs' events", self._listeners.used)
