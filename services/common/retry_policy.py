"""The one retry policy: exponential backoff."""

import random
from dataclasses import dataclass
from typing import Final

_MAX_DOUBLINGS: Final = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays double from `first_delay_s` up to `max_delay_s`; the caller stops after `give_up_s` in all."""

    first_delay_s: float
    give_up_s: float
    max_delay_s: float = 3600.0

    def delay_s(self, failures: int) -> float:
        """Seconds to wait after this number of failures in a row, from 1."""
        return min(self.max_delay_s, self.first_delay_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))

    def jittered_s(self, failures: int) -> float:
        """As `delay_s`, less up to half of it at random: those who failed together do not return together."""
        return self.delay_s(failures) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
