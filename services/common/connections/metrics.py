"""Metrics of connections and keys: how many there are, and what was closed or refused."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.common.connections.table import CAUSES, ConnectionTable
from services.common.identity.key_throttle import KeyThrottle


class ConnectionMetrics(Collector):
    """Collects the metrics at each scrape."""

    def __init__(self, connections: ConnectionTable, throttle: KeyThrottle) -> None:
        self._connections, self._throttle = connections, throttle

    def collect(self) -> Iterator[Metric]:
        """Connections in use; closed connections by cause; throttled keys."""
        yield GaugeMetricFamily("ich_connections", "Open connections", len(self._connections))
        closed = CounterMetricFamily("ich_connections_closed", "Connections closed by the server", labels=["cause"])
        for cause in CAUSES:
            closed.add_metric([cause], self._connections.closed[cause])
        yield closed
        yield CounterMetricFamily("ich_keys_throttled", "Wrong keys answered with 429", self._throttle.throttled)
