"""Metrics of connections and shares: how full they are, and what was closed or refused."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.connections.table import CAUSES, ConnectionTable
from services.gateway.shares.fair_shares import FairShares
from services.gateway.shares.key_throttle import KeyThrottle
from services.gateway.shares.upload_shares import Uploads


class ClientMetrics(Collector):
    """Collects the metrics at each scrape."""

    def __init__(
        self, connections: ConnectionTable, uploads: Uploads, listeners: FairShares, throttle: KeyThrottle
    ) -> None:
        self._connections = connections
        self._uploads = uploads
        self._listeners = listeners
        self._throttle = throttle

    def collect(self) -> Iterator[Metric]:
        """Connections, uploads and streams of events in use; closed connections by cause; throttled keys."""
        yield GaugeMetricFamily("ich_connections", "Open connections", len(self._connections))
        closed = CounterMetricFamily("ich_connections_closed", "Connections closed by the gateway", labels=["cause"])
        for cause in CAUSES:
            closed.add_metric([cause], self._connections.closed[cause])
        yield closed
        yield GaugeMetricFamily("ich_uploads", "Uploads being received", self._uploads.count.used)
        yield GaugeMetricFamily("ich_upload_bytes", "Bytes of uploads in progress on disk", self._uploads.bytes.used)
        yield GaugeMetricFamily("ich_listeners", "Streams of jobs' events", self._listeners.used)
        yield CounterMetricFamily("ich_keys_throttled", "Wrong keys answered with 429", self._throttle.throttled)
