"""Waits for conditions, as long as a loaded machine may need."""

import time
from collections.abc import Callable
from typing import Final

_LIMIT_S: Final = 60.0


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; TimeoutError after a minute."""
    deadline = time.monotonic() + _LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)
