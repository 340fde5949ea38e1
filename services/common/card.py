"""A bundle's card: the only thing that training tells serving.

A bundle is a folder with `card.json`, `cnn/1/` and `rnn/1/` (two SavedModels). The card holds the SHA-256 of every
file beside it, and a bundle that its card does not match is not served.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from services.common.labels import LABELS, Label
from services.common.operating_points import OperatingPoint, Points, Thresholds, clamped, out_of_order
from services.common.predictions import PREDICTION_RULE
from services.common.recipe import Recipe

log = logging.getLogger(__name__)
CARD_NAME = "card.json"
_OLDER: Final = {"clamp": True}  # pydantic's context for a card that somebody else has written


class BundleError(Exception):
    """A bundle that must not be served; the message names the folder and the reason."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
    thresholds: dict[OperatingPoint, Thresholds] = Field(
        description="sensitive <= default <= specific for every label and level; those in force, where an older "
        "card's were clamped"
    )
    prediction_rule: str = Field(
        default=PREDICTION_RULE, description="how probabilities and thresholds make predictions"
    )
    licence: str
    data_terms: str
    limits_of_use: tuple[str, ...]

    @field_validator("thresholds")
    @classmethod
    def _ordered(cls, points: Points, info: ValidationInfo) -> Points:
        if "default" not in points:
            raise ValueError("the operating point 'default' is missing")
        wrong = "; ".join(out_of_order(points))
        if not wrong:
            return points
        if info.context != _OLDER:
            raise ValueError(f"thresholds must be ordered, sensitive <= default <= specific; out of order: {wrong}")
        log.warning(
            "bundle %r: thresholds on the wrong side of 'default' are replaced by those of 'default' (%s); its card "
            "states figures at the old ones: run `python -m training recalibrate`",
            info.data.get("name"),
            wrong,
        )
        return clamped(points)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.labels != LABELS:
            raise ValueError(f"labels must be {', '.join(LABELS)}, in this order")
        if self.spacing_mm and not 0 < self.spacing_mm[0] <= self.spacing_mm[1] < float("inf"):
            raise ValueError(f"spacing_mm must ascend from above 0, not {self.spacing_mm}")
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


def read_card(document: bytes | Mapping[str, Any]) -> Card:
    """A card as JSON or as its parsed content; an older one's thresholds are clamped, with a warning in the log.

    Raises
    ------
    ValidationError
        it is no card
    """
    if isinstance(document, bytes):
        return Card.model_validate_json(document, context=_OLDER)
    return Card.model_validate(document, context=_OLDER)


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
        card = read_card(text)
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
