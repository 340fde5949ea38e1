"""Kernels by the names that vendors give them."""

import pytest

from services.preprocess.kernels import kernel_kind


@pytest.mark.parametrize(
    "kernel", ["BONE", "BONEPLUS", "EDGE", "LUNG", "H60s", "H70h", "B70f", "Hr64", "J70h", "FC30", "FC81", "D", "YE"]
)
def test_sharp(kernel: str) -> None:
    assert kernel_kind(kernel) == "sharp"


@pytest.mark.parametrize(
    "kernel", ["SOFT", "STANDARD", "STD+", "H31s", "J40s", "Hr38", "H41f", "FC21", "FC26", "FC64", "UB", "A", "brain"]
)
def test_soft(kernel: str) -> None:
    assert kernel_kind(kernel) == "soft"


@pytest.mark.parametrize("kernel", ["", "SYNTHETIC", "C", "XR", "0", "DETAIL"])
def test_neither(kernel: str) -> None:
    assert kernel_kind(kernel) == "unknown"
