"""Kernels by vendors' names."""

import pytest

from services.common.convolution_kernel import read_kernel


@pytest.mark.parametrize(
    "kernel", ["BONE", "BONEPLUS", "EDGE", "LUNG", "H60s", "H70h", "B70f", "Hr64", "J70h", "FC30", "FC81", "D", "YE"]
)
def test_sharp_kernels(kernel: str) -> None:
    assert read_kernel(kernel).kind == "sharp"


@pytest.mark.parametrize(
    "kernel", ["SOFT", "STANDARD", "STD+", "H31s", "J40s", "Hr38", "H41f", "FC21", "FC26", "FC64", "UB", "A", "brain"]
)
def test_soft_kernels(kernel: str) -> None:
    assert read_kernel(kernel).kind == "soft"


@pytest.mark.parametrize("kernel", ["", "SYNTHETIC", "C", "XR", "0", "DETAIL"])
def test_unknown_kernels(kernel: str) -> None:
    assert read_kernel(kernel).kind == "unknown"


def test_only_the_known_part_of_a_name_is_reported() -> None:
    assert read_kernel("BONE John Doe") == ("sharp", "BONE")
    assert read_kernel("BONEPLUS").word == "BONEPLUS"
    assert read_kernel("FC30 Doe").word == "FC30"
    assert read_kernel("Doe") == ("unknown", "")
