"""Whole studies as other scanners would give them: what an RNN learns from, beside the studies as drawn or alone.

An RNN that has only seen features of one kind of picture trusts a CNN that another kernel misleads: dark and bright
rims along the inner table look like blood to it, slice after slice. What it is measured by is made in another way, on
real slices of full size: `training.research.scanner_variants`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.augment.scanner import Disturb
from training.data.pictures import Pictures


@dataclass(frozen=True, slots=True)
class ScannerAugment:
    """How many of them show each study, and how much they may differ; see `Disturb`.

    alone : whether they alone show it, so that nobody sees it as it was drawn
    """

    count: int = 0
    alone: bool = False
    noise_hu: float = 6.0
    grain: float = 1.0
    slow_hu: float = 3.0

    def show(self, study: Pictures) -> Iterator[NDArray[np.uint8]]:
        """A study's small pictures (n, 256, 256, 2) as they were drawn, and as each of them gives it, always alike."""
        if not self.alone:
            yield study.small
        for number in range(self.count):
            seed = int(study.study[0]) * self.count + number
            scanner = Disturb(
                noise_hu=self.noise_hu, grain=self.grain, slow_hu=self.slow_hu, seed=seed, kernel=True, alike=True
            )
            yield np.rint(np.asarray(scanner(study.small, training=True))).astype(np.uint8)


NO_AUGMENT: Final = ScannerAugment()
