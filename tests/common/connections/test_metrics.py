from prometheus_client import CollectorRegistry

from services.common.connections.metrics import ConnectionMetrics
from services.common.connections.table import CAUSES, ConnectionTable
from services.common.identity.key_throttle import KeyThrottle
from tests.common.connections.protocol_server import LIMITS


def test_each_cause_has_a_metric() -> None:
    registry, table, throttle = CollectorRegistry(), ConnectionTable(LIMITS), KeyThrottle()
    registry.register(ConnectionMetrics(table, throttle))
    table.closed["evicted"] += 3
    for _ in range(12):
        throttle.fail("a", b"")
    assert registry.get_sample_value("ich_connections") == 0
    assert registry.get_sample_value("ich_keys_throttled_total") == 2
    closed = {cause: registry.get_sample_value("ich_connections_closed_total", {"cause": cause}) for cause in CAUSES}
    assert closed == dict.fromkeys(CAUSES, 0) | {"evicted": 3}
