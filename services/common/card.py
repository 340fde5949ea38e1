"""A bundle's card: the only information that passes from training to serving.

A bundle is a folder with `card.json`, `cnn/1/` and `rnn/1/` (two SavedModels). The card holds the SHA-256 of every
other file; a bundle that differs from its card is not served.
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
_STORED: Final = {"clamp": True}  # pydantic's context for a card read from a file, which may be older


class BundleError(Exception):
    """A bundle that must not be served; the message names the folder and the fault."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Card(_Frozen):
    """Contents, training, metrics and limits of use of a bundle."""

    name: str
    description: str
    created: str
    labels: tuple[Label, ...]
    recipe: Recipe
    feature_size: int = Field(gt=0, description="d, the length of one slice's feature vector")
    blood_grid: tuple[int, int] | None = Field(
        default=None, description="rows and columns of the CNN's blood map; null without one"
    )
    spacing_mm: tuple[float, float] | None = Field(
        default=None, description="lowest and highest slice spacing of the training data, in mm; null in older cards"
    )
    slab_mm: float = Field(
        default=5.0, gt=0, description="thickness in mm of the slabs that slices below `spacing_mm` are averaged into"
    )
    files: dict[str, str] = Field(description="SHA-256 of every file of the bundle, by its path inside the bundle")
    versions: dict[str, str]
    training: dict[str, Any] = Field(description="data, command, seed, amounts and hours")
    metrics: dict[str, Any]
    temperatures: dict[str, float] = Field(description="for information: the graph contains them")
    thresholds: dict[OperatingPoint, Thresholds] = Field(
        description="sensitive <= default <= specific for every label and level; an older card's are "
        "clamped to this order"
    )
    prediction_rule: str = Field(
        default=PREDICTION_RULE, description="rule from probabilities and thresholds to predictions"
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
        if info.context != _STORED:
            raise ValueError(f"thresholds must be ordered, sensitive <= default <= specific; out of order: {wrong}")
        log.warning(
            "bundle %r: thresholds out of order are clamped to 'default' (%s); the card's metrics hold for the old "
            "thresholds: run `python -m training recalibrate`",
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
    """A bundle whose files match its card."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    card: Card
    card_sha256: str

    def saved_model(self, part: Literal["cnn", "rnn"]) -> Path:
        """The folder of one SavedModel, with the version number that TensorFlow Serving expects."""
        return self.folder / part / "1"


def read_card(document: bytes | Mapping[str, Any]) -> Card:
    """Validate a card, as JSON or parsed; thresholds out of order are clamped, with a warning in the log.

    Raises
    ------
    ValidationError
        the document is no valid card
    """
    if isinstance(document, bytes):
        return Card.model_validate_json(document, context=_STORED)
    return Card.model_validate(document, context=_STORED)


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle's card and verify every file against it.

    Raises
    ------
    BundleError
        the card is missing or invalid, or a file is missing, changed, or absent from the card
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
            raise BundleError(f"{folder}: {name} has another SHA-256 than {CARD_NAME} states; copy the bundle again")
    return Bundle(folder=folder, card=card, card_sha256=hashlib.sha256(text).hexdigest())


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle except the card, by its path inside the bundle."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != CARD_NAME)
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
