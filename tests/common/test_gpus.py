from typing import Any

import pytest

from services.common.gpus import count_gpus


class Driver:
    """CUDA's driver, as far as it is called."""

    def __init__(self, devices: int, status: int) -> None:
        self.devices, self.status = devices, status

    def cuInit(self, flags: int) -> int:  # noqa: N802
        assert flags == 0
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.devices
        return 0


@pytest.mark.parametrize(("devices", "status", "found"), [(2, 0, 2), (0, 0, 0), (2, 100, 0), (2, 999, 0)])
def test_the_driver_counts_the_gpus(devices: int, status: int, found: int) -> None:
    assert count_gpus(lambda name: Driver(devices, status)) == found  # noqa: ARG005


def test_a_machine_without_a_driver_has_none() -> None:
    def missing(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    assert count_gpus(missing) == 0
    assert count_gpus(lambda _: object()) == 0
