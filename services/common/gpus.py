"""Counts NVIDIA's GPUs by the driver's library, without TensorFlow, whose import takes seconds."""

import ctypes
from collections.abc import Callable
from typing import Any, Final

_DRIVER: Final = "libcuda.so.1"
_SUCCESS: Final = 0


def count_gpus(load: Callable[[str], Any] = ctypes.CDLL) -> int:
    """The GPUs that CUDA offers this process, as TensorFlow counts them; 0 without a driver.

    `cuInit` and `cuDeviceGetCount` follow `CUDA_VISIBLE_DEVICES` and a container's devices. They create no context.
    """
    try:
        driver = load(_DRIVER)
        count = ctypes.c_int(0)
        if driver.cuInit(0) != _SUCCESS or driver.cuDeviceGetCount(ctypes.byref(count)) != _SUCCESS:
            return 0
    except (OSError, AttributeError):
        return 0
    return max(count.value, 0)
