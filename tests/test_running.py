"""Ports for tests."""

from pathlib import Path

from tests.running import free_ports


def test_a_free_port_is_not_one_of_an_outgoing_connection() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(free_ports(50)) < first


def test_a_port_is_given_once() -> None:
    assert len({*free_ports(50), *free_ports(50)}) == 100
