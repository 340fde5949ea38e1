from prometheus_client import CollectorRegistry

from services.gateway.connections.client_metrics import ClientMetrics
from services.gateway.connections.table import CAUSES, ConnectionLimits, ConnectionTable
from services.gateway.settings import Settings
from services.gateway.shares.fair_shares import Client, FairShares
from services.gateway.shares.key_throttle import KeyThrottle
from services.gateway.shares.upload_shares import Uploads

ANN = Client("ann", "a")


def test_each_cause_and_each_share_has_a_metric() -> None:
    settings, registry = Settings(), CollectorRegistry()
    table, uploads, listeners, throttle = (
        ConnectionTable(ConnectionLimits.of(settings)),
        Uploads(settings),
        FairShares(4, 2),
        KeyThrottle(),
    )
    registry.register(ClientMetrics(table, uploads, listeners, throttle))
    table.closed["evicted"] += 3
    listeners.add(ANN, 2)
    for _ in range(12):
        throttle.fail("a", b"")
    with uploads.begin(ANN):
        assert registry.get_sample_value("ich_uploads") == 1
    assert registry.get_sample_value("ich_upload_bytes") == registry.get_sample_value("ich_connections") == 0
    assert registry.get_sample_value("ich_listeners") == registry.get_sample_value("ich_keys_throttled_total") == 2
    closed = {cause: registry.get_sample_value("ich_connections_closed_total", {"cause": cause}) for cause in CAUSES}
    assert closed == dict.fromkeys(CAUSES, 0) | {"evicted": 3}
