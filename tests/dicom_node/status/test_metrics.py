"""The node's metrics."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest

from services.dicom_node.registry.database import Database
from services.dicom_node.status.metrics import LiveCounts, StatusMetrics
from services.dicom_node.status.overview import Overview
from tests.dicom_node.status.conftest import UID, Rows


@dataclass
class Reception:
    """Counts of a receiver."""

    instances: Mapping[str, int] = field(default_factory=lambda: Counter(stored=3))
    rejected: Mapping[str, int] = field(default_factory=lambda: Counter(unknown_calling_ae_title=2))
    associations: int = 1


def scrape(database: Database) -> tuple[CollectorRegistry, str]:
    registry = CollectorRegistry()
    registry.register(
        StatusMetrics(
            Overview(database, ("pacs",)).read, LiveCounts(Reception(), Reception(), {"stage_failed": 1}), 1000
        )
    )
    return registry, generate_latest(registry).decode()


def test_series_deliveries_and_failures_are_counted(database: Database, rows: Rows) -> None:
    series = rows.series(step=None)
    rows.instance(series)
    assessment = rows.assessment(series, 1, "built")
    rows.delivery(assessment, "pacs", "pending", "unreachable")
    registry, _ = scrape(database)
    expected = {
        ("ich_node_associations", ()): 1,
        ("ich_node_associations_rejected_total", (("reason", "unknown_calling_ae_title"),)): 2,
        ("ich_node_c_store_total", (("outcome", "stored"),)): 3,
        ("ich_node_series", (("step", "received"),)): 1,
        ("ich_node_received_bytes_total", ()): 6,
        ("ich_node_deliveries", (("destination", "pacs"), ("state", "pending"))): 1,
        ("ich_node_delivery_failures", (("destination", "pacs"), ("cause", "unreachable"))): 1,
        ("ich_node_quota_bytes", ()): 1000,
    }
    assert {key: registry.get_sample_value(key[0], dict(key[1])) for key in expected} == expected


def test_metrics_hold_no_uid(database: Database, rows: Rows) -> None:
    rows.series(step="dead", code="stage_failed")
    _, text = scrape(database)
    assert 'ich_node_series{step="dead"} 1.0' in text
    assert UID not in text
