"""Steps of a command on a terminal: a spinner with the state, then a tick with the time."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_WIDTH: Final = 46
_EVERY_S: Final = 0.1


@contextmanager
def step(name: str, state: Callable[[], str]) -> Iterator[None]:
    """Show a step while it runs; `state` is called meanwhile, and at its end."""
    began, ended = time.monotonic(), threading.Event()
    spinner = threading.Thread(target=_spin, args=(name, state, began, ended), daemon=True)
    spinner.start()
    try:
        yield
    except BaseException:
        _end(spinner, ended)
        print(f"  ✗ {name}", flush=True)
        raise
    _end(spinner, ended)
    print(f"  ✓ {name:{_WIDTH}}{time.monotonic() - began:6.1f} s   {state()}".rstrip(), flush=True)


def _end(spinner: threading.Thread, ended: threading.Event) -> None:
    ended.set()
    spinner.join()


def _spin(name: str, state: Callable[[], str], began: float, ended: threading.Event) -> None:
    if not sys.stdout.isatty():
        return
    while not ended.wait(_EVERY_S):
        seconds = time.monotonic() - began
        frame = _SPINNER[int(seconds / _EVERY_S) % len(_SPINNER)]
        print(f"\r\x1b[2K  {frame} {name:{_WIDTH}}{seconds:6.1f} s   {state()}", end="", flush=True)
    print("\r\x1b[2K", end="", flush=True)
