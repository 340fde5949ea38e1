"""How an RNN is trained."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RnnFit:
    """How the RNN is trained."""

    steps: int
    batch: int = 16
    longest: int = 32
    rate: float = 2e-3
    decay: float = 0.05
    series_weight: float = 0.4
    bag_weight: float = 0.1  # of the largest slice's answer being the series'
    members: int = 1  # networks that differ by their seeds; together they answer the mean of their logits
    seed: int = 0
