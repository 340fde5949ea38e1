"""Mutual TLS of the DICOM port."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.dicom_node.receive.dimse import DimseReceiver, tls_context
from services.dicom_node.settings import Settings
from tests.dicom_node.receive.certificates import Authority, client_context, make_authority
from tests.dicom_node.receive.dimse_sender import associate, receiving, send
from tests.dicom_node.receive.folder_inbox import FolderInbox
from tests.scans import ct_slice, head


@pytest.fixture
def site(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "site")


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    return FolderInbox(tmp_path)


@pytest.fixture
def receiver(site: Authority, inbox: FolderInbox) -> Iterator[DimseReceiver]:
    certificate, key = site.issue("node")
    files = {"tls_certificate_file": certificate, "tls_key_file": key, "tls_ca_file": site.path}
    with receiving(Settings.model_validate({"dicom_port": 0, **files}), inbox) as running:
        yield running


def is_closed(port: int, tls: ssl.SSLContext | None) -> bool:
    """Whether the node closes a connection without a response; in TLS 1.3 a client learns that after its handshake."""
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            wrapped = tls.wrap_socket(connection, server_hostname="localhost") if tls else connection
            with wrapped:
                wrapped.sendall(b"\x01\0\0\0\0\x10" + bytes(16))
                return wrapped.recv(1) in (b"", b"\x15")  # nothing, or an alert of TLS
    except (ssl.SSLError, ConnectionError):
        return True


def test_a_sender_with_a_certificate_of_the_site_stores(
    receiver: DimseReceiver, site: Authority, inbox: FolderInbox
) -> None:
    sender = associate(receiver.port, tls=client_context(site, site))
    assert send(sender, [ct_slice(), ct_slice(1, head(32))]) == [0, 0]
    sender.release()
    assert len(inbox.stored) == 2


def test_others_are_refused(receiver: DimseReceiver, site: Authority, tmp_path: Path, inbox: FolderInbox) -> None:
    other = make_authority(tmp_path / "other")
    assert is_closed(receiver.port, client_context(site, None))
    assert is_closed(receiver.port, client_context(site, other))
    assert is_closed(receiver.port, None)
    assert not inbox.transfers
    assert receiver.is_running()


def test_a_silent_client_does_not_stop_handshakes(receiver: DimseReceiver, site: Authority) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port)):
        sender = associate(receiver.port, tls=client_context(site, site))
        assert sender.send_c_echo().Status == 0
        sender.release()


def test_settings_name_what_is_missing(site: Authority) -> None:
    with pytest.raises(ValueError, match="tls_key_file"):
        Settings(tls_certificate_file=site.path)
    with pytest.raises(ValueError, match=r"ICH_NODE_DICOM_HOST=0\.0\.0\.0 .* ICH_NODE_CALLING_AE_TITLES"):
        Settings(dicom_host="0.0.0.0")  # noqa: S104 - it is refused
    with pytest.raises(ValueError, match="no AE title"):
        Settings(ae_titles=("seventeen letters",))
    assert Settings(dicom_host="0.0.0.0", calling_ae_titles=("CT1",))  # noqa: S104 - nothing binds it


@pytest.mark.parametrize("name", ["tls_certificate_file", "tls_key_file", "tls_ca_file"])
def test_an_absent_file_is_named_by_its_setting(site: Authority, tmp_path: Path, name: str) -> None:
    certificate, key = site.issue("node")
    files = {"tls_certificate_file": certificate, "tls_key_file": key, "tls_ca_file": site.path}
    with pytest.raises(OSError, match=f"ICH_NODE_{name.upper()}.* cannot be used"):
        tls_context(Settings.model_validate(files | {name: tmp_path / "absent.pem"}))
