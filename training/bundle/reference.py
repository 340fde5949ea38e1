"""Reference inputs and outputs inside a bundle: they show whether its networks still compute the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

REFERENCE: Final = "reference.npz"
SLICES: Final = 2
CELL: Final = 64  # pixels of one uniform square: such images compress well
Call = Any  # a signature: tensors by their names to tensors by their names


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of one output from the stored one, as a share of its largest value where that is above 1."""

    part: str
    output: str
    share: float


def write_reference(folder: Path, cnn: Call, rnn: Call) -> None:
    """Run both networks and store inputs and outputs; some kB."""
    squares, position_mm = _squares(), np.arange(SLICES, dtype=np.float32) * 5
    slices = _pictures(squares)
    given = {name: np.asarray(value) for name, value in cnn(slices=slices).items()}
    scored = rnn(features=given["features"], position_mm=position_mm)
    arrays = {"squares": squares, "position_mm": position_mm}
    arrays |= {f"cnn/{name}": value.astype(np.float32) for name, value in given.items()}
    arrays |= {f"rnn/{name}": np.asarray(value) for name, value in scored.items()}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / REFERENCE, **arrays)  # type: ignore[arg-type] # an option among the keywords is bool


def replay(folder: Path, cnn: Call, rnn: Call) -> list[Difference] | None:
    """Run both networks on the stored inputs; None for a bundle without them."""
    path = folder / REFERENCE
    if not path.exists():
        return None
    with np.load(path) as held:
        stored = {name: held[name] for name in held.files}
    slices, position_mm = _pictures(stored.pop("squares")), stored.pop("position_mm")
    found = {"cnn": cnn(slices=slices), "rnn": rnn(features=stored["cnn/features"], position_mm=position_mm)}
    return [
        Difference(part, output, share_apart(value, found[part][output]))
        for part, output, value in ((*name.split("/"), value) for name, value in stored.items())
    ]


def share_apart(wanted: Any, found: Any) -> float:
    """The largest difference, as a share of the largest value where that is above 1."""
    largest = float(np.abs(np.asarray(wanted)).max())
    return float(np.abs(np.asarray(wanted) - np.asarray(found)).max()) / max(largest, 1.0)


def _squares() -> NDArray[np.uint8]:
    return np.random.default_rng(2019).integers(0, 256, (SLICES, 512 // CELL, 512 // CELL, 3), dtype=np.uint8)


def _pictures(squares: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images of uniform squares, (n, 512, 512, 3)."""
    return squares.repeat(CELL, axis=1).repeat(CELL, axis=2)
