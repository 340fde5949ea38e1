"""A bundle's card: the only thing that training tells serving.

A bundle is a folder with `card.json`, `cnn/1/` and `rnn/1/` (two SavedModels). The card holds the SHA-256 of every
file beside it, and a bundle that its card does not match is not served.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.common.labels import LABELS, Label
from services.common.recipe import Recipe

OperatingPoint = Literal["default", "sensitive", "specific"]
CARD_NAME = "card.json"


class BundleError(Exception):
    """A bundle that must not be served; the message names the folder and the reason."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Thresholds(_Frozen):
    """A prediction is true where the probability exceeds its threshold. One for each label."""

    slice: dict[Label, float]
    series: dict[Label, float]

    @model_validator(mode="after")
    def _every_label(self) -> Self:
        for level in (self.slice, self.series):
            if tuple(level) != LABELS:
                raise ValueError(f"thresholds must stand for {', '.join(LABELS)}, in this order")
        return self


class Card(_Frozen):
    """What a bundle is, how it was made, what was measured, and what it must not be used for."""

    name: str
    description: str
    created: str
    labels: tuple[Label, ...]
    recipe: Recipe
    feature_size: int = Field(gt=0, description="d, the length of one slice's feature vector")
    blood_grid: tuple[int, int] | None = Field(
        default=None, description="rows and columns of the CNN's map of blood, where it gives one"
    )
    spacing_mm: tuple[float, float] | None = Field(
        default=None, description="lowest and highest slice spacing that the networks learnt from; null in older cards"
    )
    slab_mm: float = Field(
        default=5.0, gt=0, description="thickness of the slabs that slices below `spacing_mm` are averaged into"
    )
    files: dict[str, str] = Field(description="SHA-256 of every file of the bundle, by its path inside the bundle")
    versions: dict[str, str]
    training: dict[str, Any] = Field(description="data, command, seed, amounts and hours")
    metrics: dict[str, Any]
    temperatures: dict[str, float] = Field(description="for information: they stand inside the graph")
    thresholds: dict[OperatingPoint, Thresholds]
    licence: str
    data_terms: str
    limits_of_use: tuple[str, ...]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.labels != LABELS:
            raise ValueError(f"labels must be {', '.join(LABELS)}, in this order")
        if self.spacing_mm and not 0 < self.spacing_mm[0] <= self.spacing_mm[1] < float("inf"):
            raise ValueError(f"spacing_mm must ascend from above 0, not {self.spacing_mm}")
        if "default" not in self.thresholds:
            raise ValueError("the operating point 'default' is missing")
        return self


class Bundle(BaseModel):
    """A bundle whose files are those that its card speaks of."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    card: Card
    card_sha256: str

    def saved_model(self, part: Literal["cnn", "rnn"]) -> Path:
        """The folder of one SavedModel, numbered as TensorFlow Serving wants it."""
        return self.folder / part / "1"


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle's card and check every file against it.

    Raises
    ------
    BundleError
        the card is missing or not valid, a file is missing, is another than the card says, or is not on the card.
    """
    path = folder / CARD_NAME
    try:
        text = path.read_bytes()
        card = Card.model_validate_json(text)
    except OSError as error:
        raise BundleError(f"{folder}: no readable {CARD_NAME} ({error.strerror})") from error
    except ValidationError as error:
        raise BundleError(f"{path} is not a valid card: {error}") from error
    found = hash_files(folder)
    for name in sorted(found.keys() | card.files.keys()):
        if found.get(name) != card.files.get(name):
            raise BundleError(f"{folder}: {name} is not the file that the card speaks of")
    return Bundle(folder=folder, card=card, card_sha256=hashlib.sha256(text).hexdigest())


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle but the card itself, by its path inside the bundle."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != CARD_NAME)
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
