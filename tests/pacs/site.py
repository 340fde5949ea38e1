"""The whole product beside Orthanc, wired both ways as Compose's profile `pacs`, for tests and the demo."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.pacs.orthanc import AE_TITLE, Addresses, Orthanc, running_orthanc, wait_for
from tests.pacs.results import KINDS, KINDS_OF_ASSESSED, Pacs
from tests.pacs.senders import send, storescu
from tests.pacs.series import Series
from tests.running import NAMES, Service, free_ports, running_service, service_ports

NODE: Final = "ICH"
STEPS: Final = ("complete", "submitted", "reported", "built", "sent", "committed")
# A kill before the node has noted the end of an association counts as an abort, which holds a series back.
SHORT_DELAYS: Final = {
    "ICH_NODE_INCOMPLETE_AFTER_S": "30",
    "ICH_NODE_SEND_FIRST_DELAY_S": "0.5",
    "ICH_NODE_SEND_MAX_DELAY_S": "2",
    "ICH_NODE_COMMITMENT_TIMEOUT_S": "5",
}


@dataclass(frozen=True)
class Site:
    """A running product and a running Orthanc."""

    product: Service
    orthanc: Orthanc
    complete_s: float

    @property
    def pacs(self) -> Pacs:
        """The DICOMweb of Orthanc."""
        return Pacs(self.orthanc.dicom_web_url)

    @property
    def dicom_port(self) -> int:
        """The node's port of DICOM."""
        return self.product.ports["dicom"]

    def send(self, series: Series) -> None:
        """Send a series to the node by C-STORE."""
        send(series.files, self.dicom_port, NODE)

    def sends(self, series: Series) -> bool:
        """Send a series to the node by C-STORE; whether the node took it."""
        return storescu(series.files, self.dicom_port, NODE).returncode == 0

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the node's registry."""
        path = self.product.node_dir / "registry.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(statement, values).fetchall()

    def received(self, series: Series) -> int:
        """The number of instances that the node has received."""
        ((count,),) = self.query(
            "SELECT count(*) FROM instances JOIN series ON series.id = series WHERE series_uid = ?", series.series_uid
        )
        return int(count)

    def steps(self, series: Series) -> list[str]:
        """The step of each assessment of a series, from the first one on."""
        found = self.query(
            "SELECT step FROM assessments JOIN series ON series.id = series WHERE series_uid = ? ORDER BY number",
            series.series_uid,
        )
        return [step for (step,) in found]

    def wait_for_results(self, series: Series, seconds: float, kinds: Sequence[str] = KINDS_OF_ASSESSED) -> None:
        """Wait until Orthanc has one result object of each kind for the study of a series, and no further one."""

        def holds() -> bool:
            return self.orthanc.answers() and self.pacs.kinds(series.study_uid) == sorted(kinds)

        self._wait(f"{sorted(kinds)} in Orthanc", holds, series, seconds)

    def wait_for_step(self, series: Series, steps: Sequence[str], seconds: float, every_s: float = 0.2) -> str:
        """Wait until the last assessment of a series is at one of these steps; the step."""

        def found() -> str:
            return next((step for step in self.steps(series)[-1:] if step in steps), "")

        return str(self._wait(f"an assessment that is {' or '.join(steps)}", found, series, seconds, every_s))

    def _wait(self, what: str, holds: Any, series: Series, seconds: float, every_s: float = 0.2) -> Any:
        try:
            return wait_for(what, holds, seconds, every_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe(series)}") from None

    def describe(self, series: Series) -> str:
        """What the registry and Orthanc know of a series, and the end of the log, for messages of failures."""
        rows = self.query(
            "SELECT id, expected, conflicts, ours, reasons, waiting FROM series WHERE series_uid = ?", series.series_uid
        )
        kinds = self.pacs.kinds(series.study_uid) if self.orthanc.answers() else "Orthanc is down"
        log = [line for line in self.product.log.read_text().splitlines() if '"dicom-node"' in line]
        return "\n".join([str(rows), f"steps {self.steps(series)}", str(kinds), *log[-20:]])


@contextmanager
def running_site(
    folder: Path, complete_s: float = 2, more: Mapping[str, str] | None = None, peers: str = ""
) -> Iterator[Site]:
    """Start the product and Orthanc with `more` settings and `peers`, in a folder of their own; stop them at the end.

    Parameters
    ----------
    complete_s : seconds without a new instance after which the node takes a series as complete
    """
    ports, (http_port, dicom_port) = service_ports(), free_ports(2)
    addresses = Addresses(http_port, dicom_port, ports["dicom"], ports["node"])
    (folder / "peers.toml").write_text(peers_file(addresses) + peers)
    settings = {f"ICH_{name.upper()}_DRAIN_S": "0" for name in NAMES} | {
        "ICH_NODE_PEERS_FILE": str(folder / "peers.toml"),
        "ICH_NODE_QUIET_S": str(complete_s),
        **SHORT_DELAYS,
        **(more or {}),
    }
    with (
        running_orthanc(folder / "orthanc", addresses) as orthanc,
        running_service(folder / "log", ports, settings) as product,
    ):
        yield Site(product, orthanc, complete_s)


def peers_file(addresses: Addresses) -> str:
    """Orthanc as the destination."""
    kinds = ", ".join(f'"{kind}"' for kind in KINDS)
    return (
        f'[peers.orthanc]\nae_title = "{AE_TITLE}"\nhost = "127.0.0.1"\nport = {addresses.dicom_port}\n'
        f'dicom_web_url = "http://127.0.0.1:{addresses.http_port}/dicom-web"\n'
        f"send = [{kinds}]\ncommitment = true\n"
    )
