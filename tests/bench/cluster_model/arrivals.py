"""Arrivals of studies at sites: Poisson with a daily rhythm, and bursts."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S
# Share of a day's studies in each hour, a hospital's head CT: few at night, most from 9 to 18 h. An assumption.
RHYTHM: Final = (2, 1.5, 1.2, 1, 1, 1.2, 2, 3.5, 5.5, 7, 7.5, 7.5, 7, 6.5, 6.5, 6.5, 6, 5.5, 5, 4.5, 4, 3.5, 3, 2.6)
PEAK: Final = max(RHYTHM) / (sum(RHYTHM) / 24)  # rate of the busiest hour, relative to the day's mean
Priority = Literal["urgent", "routine"]


@dataclass(frozen=True)
class Study:
    """One job of one series."""

    at_s: float
    site: int
    slices: int
    priority: Priority = "routine"


@dataclass(frozen=True)
class Demand:
    """Studies of all sites.

    studies_per_day : of all sites together
    burst_share : share of the studies that come in bursts, such as the priors of a list
    urgent_share : share of the studies outside of bursts that are urgent
    """

    studies_per_day: float
    sites: int = 1
    slices: Sequence[int] = (28, 32, 34, 36, 40)
    urgent_share: float = 0.1
    burst_share: float = 0.0
    burst_size: int = 50

    def studies(self, seed: int, begin_s: float = 0.0, end_s: float = DAY_S) -> Iterator[Study]:
        """The studies from `begin_s` to `end_s`, both since midnight, in order; a pure function of the seed."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        mean, size = self.studies_per_day / DAY_S, self.burst_size
        single, burst = mean * (1 - self.burst_share), mean * self.burst_share / size
        at, most = begin_s, (single + burst) * PEAK
        while most and (at := at + chance.expovariate(most)) < end_s:
            if chance.random() * PEAK >= rhythm(at):
                continue
            site, is_burst = chance.randrange(self.sites), chance.random() * (single + burst) < burst
            for _ in range(size if is_burst else 1):
                urgent = not is_burst and chance.random() < self.urgent_share
                yield Study(at, site, chance.choice(self.slices), "urgent" if urgent else "routine")


def rhythm(at_s: float) -> float:
    """Rate at this time of the day, relative to the day's mean."""
    return RHYTHM[int(at_s % DAY_S // HOUR_S)] / (sum(RHYTHM) / 24)


def steady(rate: float, count: int, slices: int, seed: int = 1) -> Iterator[Study]:
    """Poisson arrivals of one site without a rhythm."""
    chance, at = random.Random(seed), 0.0  # noqa: S311
    for _ in range(count):
        at += chance.expovariate(rate)
        yield Study(at, 0, slices)
