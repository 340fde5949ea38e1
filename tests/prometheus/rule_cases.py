"""For each alert: series in which it fires, and some in which it does not, in promtool's notation of values.

The interval between two values is one minute; of `Case.hours` cases it is one hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Series = Mapping[str, str]
_REPORTS: Final = 'ich_result_reports_total{status="%s",operating_point="default",bundle="b",instance="%s"}'
_POSITIVES: Final = 'ich_result_positives_total{label="any",operating_point="default",bundle="b",instance="%s"}'
_GATEWAYS: Final = ("a", "b")  # both show the counters in Redis


@dataclass(frozen=True)
class Case:
    """An alert and its series.

    at : moment of the last look, in minutes or hours since the first value
    """

    alert: str
    firing: Series
    quiet: Series
    at: int = 60
    hours: bool = False


def _weeks(reports: Mapping[str, str], positives: str) -> Series:
    """Two weeks of results, hour by hour, as two gateways show them."""
    found = {_REPORTS % (status, gateway): values for gateway in _GATEWAYS for status, values in reports.items()}
    return found | {_POSITIVES % gateway: positives for gateway in _GATEWAYS}


_STEADY: Final = {"assessed": "0+10x400", "not_assessed": "0+1x400"}
_JOBS: Final = 'ich_job_series_total{outcome="%s",instance="a"}'
_REQUESTS: Final = 'ich_requests_total{job="ich-gateway",route="%s",method="GET",status="%s"}'
_NODE: Final = "ich_node_%s"

CASES: Final = (
    Case("IchTargetDown", {'up{job="ich-cnn",instance="c"}': "0x60"}, {'up{job="other",instance="c"}': "0x60"}),
    Case("IchNotReady", {_REQUESTS % ("/readyz", 503): "0+6x60"}, {_REQUESTS % ("/readyz", 200): "0+6x60"}),
    Case("IchServerErrors", {_REQUESTS % ("/v1/jobs", 502): "0+6x60"}, {_REQUESTS % ("/v1/jobs", 404): "0+6x60"}),
    Case("IchOverloaded", {_REQUESTS % ("/v1/jobs", 503): "0+60x60"}, {_REQUESTS % ("/v1/jobs", 503): "0x50 1x10"}),
    Case(
        "IchUrgentJobWaits",
        {'ich_queue_oldest_seconds{priority="urgent"}': "0+60x60"},
        {'ich_queue_oldest_seconds{priority="urgent"}': "500x60"},
    ),
    Case(
        "IchRoutineJobWaits",
        {'ich_queue_oldest_seconds{priority="routine"}': "15000x60"},
        {'ich_queue_oldest_seconds{priority="routine"}': "9000x60"},
    ),
    Case(
        "IchNoWorker",
        {'ich_jobs_open{priority="routine"}': "3x60", 'ich_workers{priority="routine"}': "0x60"},
        {'ich_jobs_open{priority="routine"}': "0x60", 'ich_workers{priority="routine"}': "0x60"},
    ),
    Case(
        "IchSeriesFail",
        {_JOBS % "failed": "0+1x100", _JOBS % "assessed": "0+10x100"},
        {_JOBS % "failed": "0+1x100", _JOBS % "assessed": "0+100x100"},
        at=100,
    ),
    Case(
        "IchNotAssessedShare",
        _weeks({"assessed": "0+10x400", "not_assessed": "0+1x168 168+3x232"}, "0+2x400"),
        _weeks(_STEADY, "0+2x400"),
        at=336,
        hours=True,
    ),
    Case(
        "IchPositivesDrift",
        _weeks(_STEADY, "0+1x168 168+3x232"),
        _weeks(_STEADY, "0+2x400"),
        at=336,
        hours=True,
    ),
    Case(
        "IchDiskAlmostFull",
        {'ich_disk_free_bytes{folder="jobs"}': "5x60", 'ich_disk_size_bytes{folder="jobs"}': "100x60"},
        {'ich_disk_free_bytes{folder="jobs"}': "50x60", 'ich_disk_size_bytes{folder="jobs"}': "100x60"},
    ),
    Case(
        "IchNobodySweeps",
        {'ich_sweeper_lease_held{instance="a"}': "0x60", 'ich_sweeper_lease_held{instance="b"}': "0x60"},
        {'ich_sweeper_lease_held{instance="a"}': "0x60", 'ich_sweeper_lease_held{instance="b"}': "1x60"},
    ),
    Case("IchAuditErrors", {"ich_audit_errors_total": "0x50 1x10"}, {"ich_audit_errors_total": "4x60"}),
    Case("IchWrongKeys", {"ich_keys_throttled_total": "0+1x60"}, {"ich_keys_throttled_total": "7x60"}),
    Case("IchNoProviderKeys", {"ich_oidc_keys_usable": "0x60"}, {"ich_oidc_keys_usable": "1x60"}),
    Case(
        "IchConnectionsRefused",
        {'ich_connections_closed_total{cause="evicted",job="ich-gateway"}': "0+1x60"},
        {'ich_connections_closed_total{cause="bad_request",job="ich-gateway"}': "0+1x60"},
    ),
    Case("IchNodeUnsent", {_NODE % "oldest_unsent_seconds": "1000x60"}, {_NODE % "oldest_unsent_seconds": "600x60"}),
    Case(
        "IchNodeDead",
        {_NODE % 'deliveries{destination="pacs",state="dead"}': "0x50 2x10"},
        {_NODE % 'deliveries{destination="pacs",state="pending"}': "9x60", _NODE % 'series{step="dead"}': "0x60"},
    ),
    Case(
        "IchNodeDeliveryFails",
        {_NODE % 'delivery_failures{destination="pacs",cause="unreachable"}': "3x60"},
        {_NODE % 'delivery_failures{destination="pacs",cause="unreachable"}': "0x55 3x5"},
    ),
    Case(
        "IchNodeQuota",
        {_NODE % "stored_bytes": "95x60", _NODE % "quota_bytes": "100x60"},
        {_NODE % "stored_bytes": "50x60", _NODE % "quota_bytes": "100x60"},
    ),
    Case(
        "IchNodeTransfersAbort",
        {_NODE % 'transfers_total{kind="association",outcome="aborted"}': "0+1x60"},
        {_NODE % 'transfers_total{kind="association",outcome="released"}': "0+9x60"},
    ),
)
