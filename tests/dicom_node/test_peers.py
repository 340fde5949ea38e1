from pathlib import Path

import pytest

from services.dicom_node.peers import InvalidPeers, Peer, read_peers
from tests.running import ROOT

PACS = """
[peers.pacs]
ae_title = "ORTHANC"
host = "pacs.example.org"
port = 4242
send = ["sr", "segmentation"]
"""


def _written(folder: Path, text: str) -> Path:
    path = folder / "peers.toml"
    path.write_text(text)
    return path


def test_peers_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    text = PACS + '[peers.web]\ndicom_web_url = "https://pacs/dicom-web/"\ntoken_file = "token"\n'
    peers = read_peers(_written(tmp_path, text))
    assert list(peers) == ["pacs", "web"]
    assert peers["pacs"].commits
    assert peers["pacs"].can_be_pulled_from
    assert peers["pacs"].send == {"sr", "segmentation"}
    assert (peers["web"].dicom_web_url, peers["web"].token_file) == ("https://pacs/dicom-web", tmp_path / "token")


def test_the_reference_has_each_name() -> None:
    text = (ROOT / "docs/reference/peers.md").read_text()
    table = text[: text.index("## Deliveries")]
    assert {name for name in Peer.model_fields if f"`{name}`" not in table} == {"name"}


def test_without_a_file_there_are_no_peers() -> None:
    assert read_peers(None) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[peers.pacs", "TOML"),
        ("[peer.pacs]\nport = 1\n", "peer is unknown; known are peers"),
        (PACS + "prot = 1\n", r"\[peers.pacs\]: prot is unknown; known are ae_title, host"),
        (PACS + 'name = "other"\n', "name is unknown"),
        (PACS.replace("4242", "70000"), "port: Input should be less than or equal to 65535"),
        (PACS.replace("ORTHANC", "LONGER THAN SIXTEEN"), "ae_title"),
        (PACS.replace("ORTHANC", r"A\\B"), "ae_title"),
        (PACS.replace('"sr"', '"srs"'), "send"),
        (PACS.replace("port = 4242", ""), "a DICOM address needs ae_title, host and port"),
        ("[peers.none]\n", "give ae_title, host and port, dicom_web_url or fhir_url"),
        ('[peers.web]\ndicom_web_url = "http://a"\nsend = ["sr"]\n', "by = 'c-store' needs"),
        ('[peers.emr]\ndicom_web_url = "http://a"\nsend = ["fhir"]\n', "send = .'fhir'. needs fhir_url"),
        (PACS + 'by = "stow-rs"\n', "by = 'stow-rs' needs dicom_web_url"),
        (PACS + 'check = "c-find"\n', "set commitment = false"),
        (PACS + 'commitment = false\ncheck = "qido-rs"\n', "check = 'qido-rs' needs dicom_web_url"),
        (PACS + 'user = "ich"\n', "user and password_file belong together"),
        (PACS + 'tls_name = "pacs"\n', "tls_name needs tls = true"),
        (PACS + 'ca_file = "absent.pem"\n', "absent.pem cannot be read"),
        (PACS + 'ca_file = "token"\n', "no PEM file"),
        ('[peers.web]\ndicom_web_url = "https://a"\ntoken_file = "empty"\n', "the first line of .*empty is empty"),
        ('[peers.web]\ndicom_web_url = "ftp://a"\n', "absolute http or https URL"),
        ('[peers.web]\ndicom_web_url = "https://me:word@a"\n', "without user and password"),
        ('[peers.web]\ndicom_web_url = "http://a"\ntoken_file = "token"\n', "use https"),
        ('[peers."a b"]\ndicom_web_url = "http://a"\n', "name"),
    ],
)
def test_a_fault_stops_the_start_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "token").write_text("secret")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InvalidPeers, match=message):
        read_peers(_written(tmp_path, text))


def test_an_absent_file_stops_the_start_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InvalidPeers, match=r"peers.toml: cannot be read \(No such file or directory\)"):
        read_peers(tmp_path / "peers.toml")


@pytest.mark.parametrize("host", ["127.0.0.1:8042", "localhost:8042", "[::1]:8042"])
def test_a_secret_may_stay_on_this_machine(tmp_path: Path, host: str) -> None:
    (tmp_path / "token").write_text("secret")
    read_peers(_written(tmp_path, f'[peers.web]\ndicom_web_url = "http://{host}"\ntoken_file = "token"\n'))
