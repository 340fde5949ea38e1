import asyncio
import resource
from dataclasses import replace

import pytest

from services.common.connections.table import ConnectionLimits, ConnectionTable
from services.gateway.settings import Settings

LIMITS = ConnectionLimits(4, 2, 10, 30, 60, 1000)


class FakeConnection:
    def __init__(self, address: str, waits: tuple[int, float] | None, *, proxied: bool = False) -> None:
        self.address, self.waits, self.proxied = address, waits, proxied
        self.aborted = self.broken = False

    def waits_since(self) -> tuple[int, float] | None:
        return self.waits

    def abort(self) -> None:
        self.aborted = True

    def enforce_timeouts(self) -> None:
        if self.broken:
            raise RuntimeError


def test_the_connection_that_waits_longest_makes_room_and_one_without_a_header_before_others() -> None:
    table = ConnectionTable(LIMITS)
    first, second = FakeConnection("a", (1, 1.0)), FakeConnection("a", (0, 2.0))
    assert table.admit(first)
    assert table.admit(second)
    assert table.admit(FakeConnection("a", None))
    assert (first.aborted, second.aborted, len(table)) == (False, True, 2)
    assert table.admit(FakeConnection("a", None))
    assert first.aborted
    assert not table.admit(FakeConnection("a", (0, 9.0))), "both are served"
    assert table.closed == {"evicted": 2}


def test_in_all_proxies_keep_their_connections_longest() -> None:
    table = ConnectionTable(LIMITS)
    proxied = [FakeConnection("proxy", (0, 1.0), proxied=True) for _ in range(3)]
    single = FakeConnection("a", (0, 2.0))
    assert all(map(table.admit, [*proxied, single]))
    assert table.admit(FakeConnection("b", None))
    assert single.aborted
    assert table.admit(FakeConnection("c", None))
    assert sum(one.aborted for one in proxied) == 1


def test_a_removed_connection_leaves_no_trace() -> None:
    table, one = ConnectionTable(LIMITS), FakeConnection("a", None)
    assert table.admit(one)
    table.remove(one)
    table.remove(one)
    assert len(table) == 0


def test_a_broken_connection_does_not_end_the_sweep() -> None:
    table, broken = ConnectionTable(LIMITS), FakeConnection("a", None)
    broken.broken = True
    assert table.admit(broken)
    table.sweep()
    assert broken.aborted


def test_the_table_sweeps_until_the_context_ends() -> None:
    async def sweep() -> set[str]:
        async with ConnectionTable(LIMITS).sweeping():
            running = {task.get_name() for task in asyncio.all_tasks()}
        return running - {task.get_name() for task in asyncio.all_tasks()}

    assert len(asyncio.run(sweep())) == 1


@pytest.mark.parametrize(("most", "expected"), [(20, 20), (10**9, None)])
def test_connections_leave_descriptors_for_files(most: int, expected: int | None) -> None:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = ConnectionLimits.of(Settings(max_connections=most))
    assert limits.connections == (expected or max(descriptors - 256, 16))
    assert replace(limits, connections=0) == ConnectionLimits(0, 128, 10, 30, 60, 1000)
