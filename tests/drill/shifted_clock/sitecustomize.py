"""Shifts the wall clock of a Python process by the seconds in a file, which may change at any time.

Python imports this module at its start where this folder is in PYTHONPATH. The machine's own clock stays as it is.
"""

import os
import time
from pathlib import Path

_SHIFT = Path(os.environ.get("DRILL_CLOCK_SHIFT", os.devnull))
_time, _time_ns = time.time, time.time_ns


def _shift_s() -> float:
    try:
        return float(_SHIFT.read_text() or 0)
    except (OSError, ValueError):
        return 0.0


def _shifted() -> float:
    return _time() + _shift_s()


def _shifted_ns() -> int:
    return _time_ns() + round(_shift_s() * 1e9)


time.time, time.time_ns = _shifted, _shifted_ns
