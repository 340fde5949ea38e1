"""Result objects reach a PACS by mutual TLS, and no other machine that answers in its place."""

import ssl
from pathlib import Path

import pytest

from services.dicom_node.peers import Peer, read_peers
from services.dicom_node.send.sender import destinations
from tests.dicom_node.receive.certificates import Authority, make_authority
from tests.dicom_node.send.built import BuiltRegistry
from tests.dicom_node.send.pacs import Pacs
from tests.dicom_node.send.sending import all_at, sending, until


@pytest.fixture
def site(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "site")


def _server_context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("pacs"))
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _peer(folder: Path, port: int, authority: Authority, *lines: str) -> Peer:
    certificate, key = authority.issue("node")
    text = f"""
        [peers.pacs]
        ae_title = "PACS"
        host = "127.0.0.1"
        port = {port}
        tls = true
        ca_file = "{authority.path}"
        certificate_file = "{certificate}"
        key_file = "{key}"
        send = ["sr"]
    """
    path = folder / "peers.toml"
    path.write_text("\n".join([text, *lines]))
    return read_peers(path)["pacs"]


def test_mutual_tls(registry: BuiltRegistry, tmp_path: Path, site: Authority) -> None:
    with Pacs().running(tls=_server_context(site)) as pacs:
        peer = _peer(tmp_path, pacs.port, site)
        registry.add(["sr"], destinations({"pacs": peer}))
        with sending(registry, peer):
            until(all_at(registry, "committed"))


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_is_not_the_pacs_gets_nothing(
    registry: BuiltRegistry, tmp_path: Path, site: Authority, wrong: str
) -> None:
    other = make_authority(tmp_path / "other")
    with Pacs().running(tls=_server_context(other if wrong == "authority" else site)) as pacs:
        lines = ['tls_name = "pacs.example.org"'] if wrong == "name" else []
        peer = _peer(tmp_path, pacs.port, site, *lines)
        registry.add(["sr"], destinations({"pacs": peer}))
        with sending(registry, peer):
            until(lambda: registry.codes("pacs") == ["unreachable"])
    assert pacs.stored == {}
