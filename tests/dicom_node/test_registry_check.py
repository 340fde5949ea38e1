"""The registry is written at most once a period; a failure is named, and tried again at once."""

import sqlite3

import pytest

from services.common.problems import NotReady
from services.dicom_node.registry_check import PERIOD_S, RegistryCheck


class Disk:
    """Counts writes; a full disk fails."""

    def __init__(self) -> None:
        self.writes, self.full, self.now_s = 0, False, 0.0

    def write(self) -> None:
        self.writes += 1
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")


def test_many_probes_are_one_write() -> None:
    disk = Disk()
    check = RegistryCheck(disk.write, lambda: disk.now_s)
    for _ in range(10):
        check()
    assert disk.writes == 1
    disk.now_s += PERIOD_S
    check()
    assert disk.writes == 2


def test_a_full_disk_is_not_ready_until_it_has_room() -> None:
    disk = Disk()
    check = RegistryCheck(disk.write, lambda: disk.now_s)
    disk.full = True
    for _ in range(2):
        with pytest.raises(NotReady) as refused:
            check()
    assert "ICH_NODE_DATA_DIR" in str(refused.value.detail)
    disk.full = False
    check()
