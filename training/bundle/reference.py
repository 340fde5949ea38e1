"""Writes and replays the reference inputs and outputs of a bundle."""

from pathlib import Path
from typing import Any

import numpy as np

from services.common.reference import (
    REFERENCE,
    SLICES,
    Difference,
    make_squares,
    pictures,
    read_reference,
    share_apart,
)

__all__ = ["Difference", "replay", "share_apart", "write_reference"]
Call = Any  # a signature: tensors by their names to tensors by their names


def write_reference(folder: Path, cnn: Call, rnn: Call) -> None:
    """Run both networks and store inputs and outputs; some kB."""
    squares, position_mm = make_squares(), np.arange(SLICES, dtype=np.float32) * 5
    given = {name: np.asarray(value) for name, value in cnn(slices=pictures(squares)).items()}
    scored = rnn(features=given["features"], position_mm=position_mm)
    arrays = {"squares": squares, "position_mm": position_mm}
    arrays |= {f"cnn/{name}": value.astype(np.float32) for name, value in given.items()}
    arrays |= {f"rnn/{name}": np.asarray(value) for name, value in scored.items()}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / REFERENCE, **arrays)  # type: ignore[arg-type] # an option among the keywords is bool


def replay(folder: Path, cnn: Call, rnn: Call) -> list[Difference] | None:
    """Run both networks on the stored inputs; None for a bundle without them."""
    reference = read_reference(folder)
    return [*reference.differences("cnn", cnn), *reference.differences("rnn", rnn)] if reference else None
