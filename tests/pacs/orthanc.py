"""Orthanc of this machine with the configuration in deploy/orthanc, on free ports and in a folder of its own."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from tests.running import ROOT

INSTALL: Final = "apt-get install orthanc orthanc-dicomweb orthanc-gdcm dcmtk"
AE_TITLE: Final = "ORTHANC"
_DEPLOYED: Final = ROOT / "deploy" / "orthanc"


@dataclass(frozen=True)
class Addresses:
    """Where Orthanc listens, and where it finds the node.

    stable_s : seconds without a new instance after which Orthanc sends a series to the node
    """

    http_port: int
    dicom_port: int
    node_dicom_port: int
    node_http_port: int
    stable_s: int = 2


@dataclass
class Orthanc:
    """One Orthanc in a folder; it may be killed and started again."""

    folder: Path
    addresses: Addresses
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Its REST API and its page."""
        return f"http://127.0.0.1:{self.addresses.http_port}"

    @property
    def dicom_web_url(self) -> str:
        """Its DICOMweb API."""
        return f"{self.url}/dicom-web"

    def start(self, seconds: float = 30) -> None:
        """Start it and wait until it answers."""
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([executable(), str(self.folder / "orthanc.json")], stdout=log, stderr=log)
        log.close()
        wait_for("Orthanc answers", self.answers, seconds)

    def answers(self) -> bool:
        """Whether its HTTP answers."""
        try:
            return httpx.get(f"{self.url}/system", timeout=5).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """Kill it, as a power failure does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
        self.process = None

    def get(self, path: str, **query: str) -> Any:
        """The answer of its REST API."""
        answer = httpx.get(f"{self.url}{path}", params=query or None, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, document: object) -> Any:
        """The answer of its REST API to a JSON document."""
        answer = httpx.post(f"{self.url}{path}", json=document, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def idle(self) -> bool:
        """Whether none of its jobs runs or waits."""
        return all(job["State"] in ("Success", "Failure") for job in self.get("/jobs?expand"))

    def empty(self) -> None:
        """Delete all studies."""
        for study in self.get("/studies"):
            httpx.delete(f"{self.url}/studies/{study}", timeout=30).raise_for_status()


def executable() -> str:
    """The path of Orthanc; LookupError with the command that installs it."""
    found = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise LookupError(f"Orthanc is not installed: {INSTALL}")
    return found


def configuration(folder: Path, addresses: Addresses) -> dict[str, Any]:
    """The deployed configuration with these addresses, files and no route to other machines."""
    document: dict[str, Any] = json.loads((_DEPLOYED / "orthanc.json").read_text())
    node = document["DicomModalities"]["ich"]
    node |= {"Host": "127.0.0.1", "Port": addresses.node_dicom_port}
    servers = {"ich": document["DicomWeb"]["Servers"]["ich"] | {"Url": _stow(addresses)}}
    return document | {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "LuaScripts": [str(folder / "route.lua")],
        "RemoteAccessAllowed": False,
        "HttpPort": addresses.http_port,
        "DicomPort": addresses.dicom_port,
        "StableAge": addresses.stable_s,
        "DicomWeb": document["DicomWeb"] | {"Servers": servers},
    }


def _stow(addresses: Addresses) -> str:
    return f"http://127.0.0.1:{addresses.node_http_port}/dicom-web/"


@contextmanager
def running_orthanc(folder: Path, addresses: Addresses, more: Mapping[str, object] | None = None) -> Iterator[Orthanc]:
    """Start Orthanc with the deployed configuration and `more` options, and stop it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    document = configuration(folder, addresses) | dict(more or {})
    (folder / "orthanc.json").write_text(json.dumps(document, indent=2))
    route = (_DEPLOYED / "route.lua").read_text()
    (folder / "route.lua").write_text(route.replace("RETRY_S = 30", "RETRY_S = 1"))
    orthanc = Orthanc(folder, addresses)
    try:
        orthanc.start()
        yield orthanc
    finally:
        orthanc.stop()


def wait_for(what: str, holds: Callable[[], object], seconds: float, every_s: float = 0.2) -> Any:
    """Wait until `holds` is true, and return its value; AssertionError that names `what` after the time."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(every_s)
    return found
