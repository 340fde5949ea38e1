"""One kind of progress bar for all steps: what is done, at what rate, and how long the rest takes."""

import sys
from typing import Any

from tqdm import tqdm

_LOG_INTERVAL_S = 10.0  # a terminal's bar moves, a log gets lines


def bar(what: str, total: int, unit: str, done: int = 0) -> Any:
    """A bar of tqdm's, to be used in a `with` statement and `update`d.

    Parameters
    ----------
    what : stands in front of the bar
    total : how many there are in all
    unit : what is counted, in the plural
    done : how many an earlier start has left; they are shown and not counted into the rate
    """
    interval_s = 0.2 if sys.stderr.isatty() else _LOG_INTERVAL_S
    return tqdm(desc=what, total=total, initial=done, unit=f" {unit}", mininterval=interval_s, maxinterval=interval_s)
