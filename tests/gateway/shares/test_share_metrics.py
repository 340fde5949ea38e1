from prometheus_client import CollectorRegistry

from services.common.clients import Client
from services.gateway.settings import Settings
from services.gateway.shares.fair_shares import FairShares
from services.gateway.shares.share_metrics import ShareMetrics
from services.gateway.shares.upload_shares import Uploads

ANN = Client("ann", "a")


def test_each_share_has_a_metric() -> None:
    registry, uploads, listeners = CollectorRegistry(), Uploads(Settings()), FairShares(4, 2)
    registry.register(ShareMetrics(uploads, listeners))
    listeners.add(ANN, 2)
    with uploads.begin(ANN):
        assert registry.get_sample_value("ich_uploads") == 1
    assert registry.get_sample_value("ich_upload_bytes") == 0
    assert registry.get_sample_value("ich_listeners") == 2
