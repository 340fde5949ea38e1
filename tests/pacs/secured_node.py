"""A node of its own with TLS and lists of AE titles, with certificates made by the commands of the documentation."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from tests.pacs.orthanc import wait_for
from tests.running import ROOT, free_ports

_PAGE: Final = ROOT / "docs" / "how-to" / "secure-dicom.md"
_COMMANDS: Final = re.compile(r"^```sh\n(umask 077\nopenssl .*?)^```", re.MULTILINE | re.DOTALL)


def make_certificates(folder: Path) -> Path:
    """Run the documented commands in a new folder: `ca.pem`, and certificate and key of `ich` and `pacs`."""
    folder.mkdir()
    (commands,) = _COMMANDS.findall(_PAGE.read_text())
    subprocess.run(["sh", "-ec", commands], cwd=folder, check=True, capture_output=True, timeout=60)
    return folder


def tls_options(identity: Path, authority: Path, name: str = "pacs") -> list[str]:
    """Options of dcmtk's storescu: the certificate of `name` in a folder, and the authority of the node's."""
    return ["+tls", str(identity / f"{name}-key.pem"), str(identity / f"{name}.pem"), "+cf", str(authority / "ca.pem")]


@contextmanager
def secured_node(folder: Path, certificates: Path, gateway_url: str) -> Iterator[int]:
    """Start a node that takes TLS from `CT1` only; its DICOM port."""
    http_port, dicom_port = free_ports(2)
    settings = {
        "ICH_NODE_DATA_DIR": str(folder / "data"),
        "ICH_NODE_GATEWAY_URL": gateway_url,
        "ICH_NODE_DICOM_PORT": str(dicom_port),
        "ICH_NODE_CALLING_AE_TITLES": '["CT1"]',
        "ICH_NODE_TLS_CERTIFICATE_FILE": str(certificates / "ich.pem"),
        "ICH_NODE_TLS_KEY_FILE": str(certificates / "ich-key.pem"),
        "ICH_NODE_TLS_CA_FILE": str(certificates / "ca.pem"),
    }
    command = [sys.executable, "-m", "services.dicom_node", "serve", "--port", str(http_port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=log, stderr=log)
    try:
        wait_for("the node is ready", lambda: _is_ready(http_port), 60)
        yield dicom_port
    finally:
        process.terminate()
        process.wait(60)


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False
