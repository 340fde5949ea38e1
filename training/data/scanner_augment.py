"""Scanner augmentation of whole studies, for the RNN's training.

Sharper kernels leave dark and bright rims along the inner table, which a CNN takes for blood in many slices. An RNN
learns not to trust them only from such features. `training.research.scanner_variants` measures it on real slices.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.augment.scanner import RandomScanner
from training.data.pictures import Pictures


@dataclass(frozen=True, slots=True)
class ScannerAugment:
    """How many of them show each study, and how much they may differ; see `RandomScanner`.

    alone : whether the study as drawn is left out
    """

    count: int = 0
    alone: bool = False
    noise_hu: float = 6.0
    grain: float = 1.0
    slow_hu: float = 3.0

    def show(self, study: Pictures) -> Iterator[NDArray[np.uint8]]:
        """A study's small pictures (n, 256, 256, 2) as drawn and by each scanner; the same study gives the same."""
        if not self.alone:
            yield study.small
        for number in range(self.count):
            seed = int(study.study[0]) * self.count + number
            scanner = RandomScanner(
                noise_hu=self.noise_hu, grain=self.grain, slow_hu=self.slow_hu, seed=seed, kernel=True, one_scanner=True
            )
            yield np.rint(np.asarray(scanner(study.small, training=True))).astype(np.uint8)


NO_AUGMENT: Final = ScannerAugment()
