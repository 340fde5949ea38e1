"""The drill of two gateways and three workers on one object storage."""

from functools import partial
from typing import Final

from tests.drill.cluster import Cluster, running_cluster
from tests.drill.rows import LIMIT_S, Row, print_head, print_row, run_fault
from tests.drill.shared_faults import SHARED_FAULTS, SharedFault
from tests.running import ROOT

_CLEAN_S: Final = 100.0  # a sweep comes each minute


def drill_shared_storage(only: str) -> bool:
    """Whether all rows are good, and the storage is clean at the end."""
    with running_cluster(ROOT / ".run" / "drill.log") as cluster:
        print_head()
        wanted = [fault for fault in SHARED_FAULTS if only in fault.name]
        good = [print_row(fault.name, partial(_row, cluster, fault)) for fault in wanted]
        return all([*good, _is_clean(cluster)])


def _row(cluster: Cluster, fault: SharedFault) -> Row:
    with cluster.client() as client:
        return run_fault(
            client, lambda sender: fault.inject(cluster, sender), lambda: cluster.wait_until_ready(LIMIT_S)
        )


def _is_clean(cluster: Cluster) -> bool:
    """Whether the sweeps leave nothing of deleted jobs and half uploads, and two gateways."""
    try:
        cluster.wait_for(lambda: not cluster.rest(), _CLEAN_S, "")
    except AssertionError:
        print(f"left in the storage: {cluster.rest()}")
        return False
    print("Storage and folders hold no file of a deleted job or a half upload.")
    return True
