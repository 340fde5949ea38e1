"""Options of the training of an RNN."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RnnOptions:
    """How an RNN is trained.

    longest : slices of the longest piece of a series
    series_weight : weight of the loss of series
    bag_weight : weight of the loss of the largest logit of a piece's slices, as the series' logit
    members : networks with different seeds; the RNN is the mean of their logits
    """

    steps: int
    batch: int = 16
    longest: int = 32
    rate: float = 2e-3
    decay: float = 0.05
    series_weight: float = 0.4
    bag_weight: float = 0.1
    members: int = 1
    seed: int = 0
