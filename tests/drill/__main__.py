"""`python -m tests.drill`: injects one fault after the other into a running product, and counts reports.

Each fault gives one row: accepted series, reported series, lost and duplicate series, and seconds until recovery.
Recovery is complete when all series, and those of a job sent after the fault, are reported. Nothing helps the product.
With `--storage s3`, two gateways and three workers share an object storage.

Exits with 1 where a series is lost or duplicate, or where recovery took longer than 90 s. The product's log is in
.run/drill.log.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

import httpx

from tests.drill.disk import small_disk
from tests.drill.faults import FAULTS, Fault
from tests.drill.rows import LIMIT_S, Row, print_head, print_row, run_fault
from tests.drill.shared_storage import drill_shared_storage
from tests.drill.surroundings import Surroundings, surroundings
from tests.drill.trust_faults import TRUST_FAULTS
from tests.running import ROOT, Service, jobs_dir, running_service, service_ports

_DISK_MB: Final = 96


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drill: 0 where all rows are good."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults whose names contain this text")
    parser.add_argument("--storage", choices=("folder", "s3"), default="folder", help="where jobs are stored (folder)")
    options = parser.parse_args(arguments)
    drill = drill_shared_storage if options.storage == "s3" else _drill_folder
    good = drill(options.only)
    print("\nNo series is lost or duplicate." if good else "\nSee .run/drill.log.")
    return 0 if good else 1


def _drill_folder(only: str) -> bool:
    """One gateway, its jobs in a folder; whether all rows are good."""
    ports = service_ports()
    folder, log = jobs_dir(ports["gateway"]), ROOT / ".run" / "drill.log"
    with (
        surroundings() as around,
        small_disk(folder, _DISK_MB) as small,
        running_service(log, ports, around.settings) as service,
    ):
        print_head()
        wanted = [fault for fault in (*FAULTS, *TRUST_FAULTS) if only in fault.name]
        good = [print_row(fault.name, partial(_row, service, fault, around, small=small)) for fault in wanted]
    return all(good)


def _row(service: Service, fault: Fault, around: Surroundings, *, small: bool) -> Row | None:
    if fault.needs_small_disk and not small:
        return None
    with httpx.Client(base_url=service.url, timeout=30) as client:
        return run_fault(
            client,
            lambda sender: fault.inject(service, sender, around),
            lambda: service.wait_until_ready(LIMIT_S),
        )


if __name__ == "__main__":
    sys.exit(main())
