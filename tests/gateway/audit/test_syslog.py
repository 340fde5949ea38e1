"""The log sent over TLS to a real server: in order, at least once, whatever becomes of the server or of the gateway."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.gateway.audit.events import system_event
from services.gateway.audit.log import AuditLog
from services.gateway.audit.syslog_connection import SyslogServer, SyslogUnusable, syslog_address
from tests.dicom_node.receive.certificates import Authority, make_authority
from tests.gateway.audit.factories import breaks_of
from tests.gateway.audit.syslog_server import Receiver, sending_log, wait_for

Line = dict[str, Any]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "audit.jsonl"


def server_of(receiver: Receiver, authority: Authority, **others: Any) -> SyslogServer:
    return SyslogServer("localhost", receiver.port, authority.path, **others)


def kept(path: Path) -> list[Line]:
    """All lines of the log, the oldest first."""
    files = sorted(path.parent.glob("audit.jsonl.*"), key=lambda file: -int(file.suffix[1:]))
    return [json.loads(line) for file in (*files, path) for line in file.read_text().splitlines() if line]


def once(lines: list[Line]) -> list[Line]:
    """Lines without those that came before."""
    return list({line["hash"]: line for line in lines}.values())


def post(log: AuditLog, count: int) -> None:
    for number in range(count):
        log.post(system_event("read", number=number))


def value(registry: CollectorRegistry, name: str) -> float:
    found = registry.get_sample_value(f"ich_audit_syslog_{name}")
    assert found is not None
    return found


def sent(registry: CollectorRegistry, count: int) -> bool:
    return value(registry, "lines_total") >= count


def test_lines_arrive_in_order_and_once_over_an_orderly_restart(path: Path, authority: Authority) -> None:
    with Receiver(authority) as receiver:
        for count in (20, 5):
            with sending_log(path, server_of(receiver, authority)) as (log, registry):
                post(log, count)
                wait_for(partial(sent, registry, count + 1))
        assert receiver.lines() == kept(path)
        assert receiver.lines()[-1]["action"] == "stop"
    assert (path.parent / "audit.syslog").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "other")


def test_a_server_of_another_authority_gets_nothing(path: Path, authority: Authority, other: Authority) -> None:
    with Receiver(other) as receiver, sending_log(path, server_of(receiver, authority)) as (log, registry):
        post(log, 3)
        wait_for(lambda: value(registry, "errors_total") >= 2)
        assert receiver.messages == []
        assert value(registry, "backlog_bytes") > 0
    assert [line["action"] for line in kept(path)] == ["start", "read", "read", "read", "stop"]


def test_a_server_of_another_name_gets_nothing(path: Path, authority: Authority) -> None:
    with Receiver(authority) as receiver:
        named = SyslogServer(socket.gethostname(), receiver.port, authority.path)
        with sending_log(path, named) as (_, registry):
            wait_for(lambda: value(registry, "errors_total") >= 1)
        assert receiver.messages == []


def test_a_server_may_ask_for_a_certificate(path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("gateway")
    with Receiver(authority, clients=True) as receiver:
        with sending_log(path, server_of(receiver, authority)) as (_, registry):
            wait_for(lambda: value(registry, "errors_total") >= 1)
        assert receiver.messages == []
        server = server_of(receiver, authority, certificate_file=certificate, key_file=key)
        with sending_log(path, server):
            wait_for(lambda: len(receiver.messages) >= 3)
        assert receiver.lines() == kept(path)


def test_lines_wait_while_the_server_is_away_and_through_rotations(path: Path, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = SyslogServer("localhost", port, authority.path)
    with sending_log(path, server, max_bytes=20_000, keep=50) as (log, registry):
        post(log, 300)
        wait_for(lambda: value(registry, "errors_total") >= 1)
        with Receiver(authority, port) as receiver:
            wait_for(lambda: len(receiver.messages) >= 301)
            post(log, 300)
            wait_for(lambda: len(once(receiver.lines())) >= 601 + len(list(path.parent.glob("audit.jsonl.*"))))
            wait_for(lambda: value(registry, "backlog_bytes") == 0)  # settled
            got = receiver.lines()
    assert got == kept(path)[: len(got)]
    assert len(list(path.parent.glob("audit.jsonl.*"))) > 1


def test_a_broken_connection_loses_no_line(path: Path, authority: Authority) -> None:
    with Receiver(authority, chunk=700) as receiver:  # reads less than a batch at a time
        with sending_log(path, server_of(receiver, authority)) as (log, registry):
            for number in range(3):
                post(log, 400)
                wait_for(partial(sent, registry, 100 * number))
                receiver.drop()
            wait_for(lambda: len(once(receiver.lines())) >= 1201)
        wait_for(lambda: once(receiver.lines()) == kept(path))
        assert receiver.connections > 1


def test_lines_that_were_deleted_unsent_are_told(path: Path, authority: Authority) -> None:
    with Receiver(authority) as receiver, sending_log(path, server_of(receiver, authority)):
        wait_for(lambda: len(receiver.messages) >= 1)
        port = receiver.port
    server = SyslogServer("localhost", port, authority.path)  # nobody listens
    with sending_log(path, server, max_bytes=20_000, keep=1) as (log, registry):
        post(log, 900)
        wait_for(lambda: value(registry, "unsent_total") == 1)
        with Receiver(authority, port) as receiver:
            wait_for(lambda: any(line["action"] == "unsent" for line in receiver.lines()))
            assert receiver.lines() == kept(path)[: len(receiver.lines())]
    assert [line["action"] for line in kept(path)].count("unsent") == 1
    assert breaks_of(path) == []


@pytest.mark.parametrize("written", [True, False])
def test_a_killed_gateway_loses_no_line(path: Path, authority: Authority, *, written: bool) -> None:
    """Killed while it sends, or after it has sent everything; the next process sends the rest."""
    with Receiver(authority) as receiver:
        arguments = [path, receiver.port, authority.path, 3000]
        command = [sys.executable, "-m", "tests.gateway.audit.syslog_server", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert process.stdout
            if written:
                assert process.stdout.readline() == b"written\n"
            wait_for(lambda: len(receiver.messages) >= (3001 if written else 100))
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        with sending_log(path, server_of(receiver, authority)):
            wait_for(lambda: len(once(receiver.lines())) >= len(kept(path)))
        assert once(receiver.lines()) == kept(path)


def test_a_silent_server_delays_neither_requests_nor_the_stop(path: Path, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SyslogServer("localhost", listener.getsockname()[1], authority.path)
        with sending_log(path, server, timeout_s=5.0) as (log, _):
            silent, _ = listener.accept()  # the handshake waits for its limit of 10 s
            with silent:
                assert asyncio.run(log.record(system_event("read")))
        assert [line["action"] for line in kept(path)] == ["start", "read", "stop"]


def test_files_of_tls_that_cannot_be_used_stop_the_start(path: Path, tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for server in (
        SyslogServer("localhost", 1, tmp_path / "missing.pem"),
        SyslogServer("localhost", 1, tmp_path / "bad.pem"),
        SyslogServer("localhost", 1, authority.path, tmp_path / "bad.pem"),
    ):
        with pytest.raises(SyslogUnusable, match="ICH_GATEWAY_AUDIT_SYSLOG_"), sending_log(path, server):
            raise AssertionError("not reached")
    assert not path.exists()


def test_a_name_that_cannot_be_resolved_keeps_the_thread_alive(path: Path, authority: Authority) -> None:
    server = SyslogServer("a" * 70, 6514, authority.path)  # longer than a label of the DNS
    with sending_log(path, server) as (_, registry):
        wait_for(lambda: value(registry, "errors_total") >= 2)


@pytest.mark.parametrize(
    ("text", "address"),
    [("tls://log.example", ("log.example", 6514)), ("tls://[2001:db8::1]:99", ("2001:db8::1", 99))],
)
def test_addresses_name_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert syslog_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "log.example", "udp://h", "tls://", "tls://h/x", "tls://u:p@h", "tls://h?x=1", "tls://h:x"]
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be tls://host:6514|Port could not"):
        syslog_address(text)
