"""Reference inputs and outputs inside a bundle: they show whether its networks still compute the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.common.engines import Signature

REFERENCE: Final = "reference.npz"
CELL: Final = 64  # pixels of one uniform square: such images compress well
SLICES: Final = 2
_SEED: Final = 2019
Inputs = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of one output from the stored one, as a share of its largest value where that is above 1."""

    part: str
    output: str
    share: float


@dataclass(frozen=True, slots=True)
class Reference:
    """Inputs of both networks, and the outputs that they had at export, by part and name."""

    inputs: dict[str, Inputs]
    outputs: dict[str, dict[str, NDArray[np.float32]]]

    def differences(self, part: str, call: Signature) -> list[Difference]:
        """Differences of one network's outputs."""
        found, expected = call(**self.inputs[part]), self.outputs[part]
        return [Difference(part, name, share_apart(value, found[name])) for name, value in expected.items()]


def read_reference(folder: Path) -> Reference | None:
    """The reference of a bundle; None for a bundle without one."""
    path = folder / REFERENCE
    if not path.exists():
        return None
    with np.load(path) as held:
        stored = {name: held[name] for name in held.files}
    slices, position_mm = pictures(stored.pop("squares")), stored.pop("position_mm")
    outputs: dict[str, dict[str, NDArray[np.float32]]] = {"cnn": {}, "rnn": {}}
    for name, value in stored.items():
        part, output = name.split("/")
        outputs[part][output] = value
    rnn = {"features": outputs["cnn"]["features"], "position_mm": position_mm}
    return Reference({"cnn": {"slices": slices}, "rnn": rnn}, outputs)


def share_apart(expected: Any, found: Any) -> float:
    """The largest difference, as a share of the largest value if above 1; infinite for NaN or another shape."""
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.shape != found.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(expected - found).max()) / max(float(np.abs(expected).max()), 1.0)


def make_squares(slices: int = SLICES) -> NDArray[np.uint8]:
    """(n, 8, 8, 3) uint8: random values of uniform squares."""
    return np.random.default_rng(_SEED).integers(0, 256, (slices, 512 // CELL, 512 // CELL, 3), dtype=np.uint8)


def pictures(squares: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images of uniform squares, (n, 512, 512, 3)."""
    return squares.repeat(CELL, axis=1).repeat(CELL, axis=2)
