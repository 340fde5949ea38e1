"""The progress bar of every step."""

import sys
from typing import Any

from tqdm import tqdm

_TERMINAL_S = 0.2
_LOG_S = 10.0  # a log gets one line in so many seconds


def progress_bar(what: str, total: int, unit: str, done: int = 0) -> Any:
    """Return tqdm's bar: amount done, rate and time left. Use it in a `with` statement and call `update`.

    Parameters
    ----------
    what : text in front of the bar
    total : number of units in all
    unit : name of the units, in the plural
    done : units finished by an earlier run; shown, but not counted into the rate
    """
    interval_s = _TERMINAL_S if sys.stderr.isatty() else _LOG_S
    return tqdm(desc=what, total=total, initial=done, unit=f" {unit}", mininterval=interval_s, maxinterval=interval_s)
