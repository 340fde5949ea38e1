"""A bundle's card: the only information that passes from training to serving.

A bundle is a folder with `card.json`, `cnn/1/` and `rnn/1/` (two SavedModels). The card holds the SHA-256 of every
other file but its signature; a bundle that differs from its card is not served.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from services.common.addenda import (
    Addenda,
    AddendumCheck,
    LabelFigures,
    LevelFigures,
    PointFigures,
    read_addenda,
)
from services.common.bundle_files import (
    CARD_NAME,
    MAX_CARD_BYTES,
    SIGNATURE_NAME,
    BundleFault,
    Copies,
    digest_files,
    open_folder,
    read_file,
)
from services.common.labels import LABELS, Label
from services.common.operating_points import LEVELS, OperatingPoint, Points, Thresholds, clamped, out_of_order
from services.common.predictions import PREDICTION_RULE
from services.common.recipe import Recipe

log = logging.getLogger(__name__)
Part = Literal["cnn", "rnn"]
_MAX_SIGNATURE_BYTES: Final = 4096
_SYNTHETIC: Final = ("synthetic", "phantom")  # words about data that are no patients'
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

    @property
    def patient_figures(self) -> LevelFigures | None:
        """The metrics as figures on patients; None unless they count patients, and no word calls the data synthetic."""
        words = f"{self.data_terms} {self.metrics.get('data', '')}"
        if not isinstance(self.metrics.get("patients"), int) or says_synthetic(words):
            return None
        try:
            levels = {level: {label: self._figures(self.metrics[level][label]) for label in LABELS} for level in LEVELS}
            return LevelFigures.model_validate(levels)
        except (KeyError, TypeError, ValueError):  # a card of another version: unknown
            return None

    def _figures(self, metrics: Mapping[str, Any]) -> LabelFigures:
        positives, negatives = metrics["positives"], metrics["negatives"]
        points = {}
        for point in (name for name in self.thresholds if name in metrics):
            sensitivity, specificity = (metrics[point][name] or 0.0 for name in ("sensitivity", "specificity"))
            tp, tn = round(sensitivity * positives), round(specificity * negatives)  # the rates have four digits
            points[point] = PointFigures.of(tp, negatives - tn, tn, positives - tp)
        interval = metrics["auc_95_interval"]
        return LabelFigures(
            positives=positives, negatives=negatives, auc=metrics["auc"], auc_95_interval=interval, points=points
        )

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


class SignatureCheck(AddendumCheck, Protocol):
    """The id of the key that signed a card or an addendum; BundleFault where no trusted key did."""

    def check(self, card: bytes, signature: bytes | None) -> str: ...


class Bundle(BaseModel):
    """A bundle whose files match its card. `signed_by` is the id of the key, where a signature was checked."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    card: Card
    card_sha256: str
    signed_by: str | None = None
    addenda: Addenda = Addenda()

    def saved_model(self, part: Part) -> Path:
        """The folder of one SavedModel, with the version number that TensorFlow Serving expects."""
        return self.folder / part / "1"


def says_synthetic(words: str) -> bool:
    """Whether a description of data says that they are no patients'."""
    return any(word in words.lower() for word in _SYNTHETIC)


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


def open_bundle(folder: Path, trusted: SignatureCheck | None = None, copies: Copies | None = None) -> Bundle:
    """Read a bundle's card, then verify its signature, then every file; then read its addenda.

    Parameters
    ----------
    trusted : checks the card's signature; None accepts an unsigned bundle
    copies : opens the copies of files, which get the hashed bytes

    Raises
    ------
    BundleError
        the card is missing, invalid or not signed by a trusted key; or a file is missing, changed, absent from the
        card, unreadable, or no regular file
    """
    try:
        with open_folder(folder) as opened:
            text = _read_card_bytes(opened)
            signed_by = trusted.check(text, _read_signature(opened)) if trusted else None
            card = read_card(text)
            found = digest_files(opened, card.files, copies)
            digest = hashlib.sha256(text).hexdigest()
            addenda = read_addenda(folder, digest, trusted)
    except BundleFault as error:
        raise BundleError(f"{folder}: {error}") from None
    except ValidationError as error:
        raise BundleError(f"{folder / CARD_NAME} is not a valid card: {error}") from error
    except OSError as error:
        raise BundleError(
            f"{folder}: the bundle cannot be read or copied ({error.strerror}); check its permissions, and the "
            "room in the temporary folder (TMPDIR)"
        ) from error
    for name in sorted(card.files):
        if found.get(name) != card.files[name]:
            raise BundleError(f"{folder}: {name!r} has another SHA-256 than {CARD_NAME} states; copy the bundle again")
    return Bundle(folder=folder, card=card, card_sha256=digest, signed_by=signed_by, addenda=addenda)


def _read_card_bytes(folder: int) -> bytes:
    try:
        return read_file(folder, CARD_NAME, MAX_CARD_BYTES)
    except OSError as error:
        raise BundleFault(f"no readable {CARD_NAME} ({error.strerror})") from error


def _read_signature(folder: int) -> bytes | None:
    try:
        return read_file(folder, SIGNATURE_NAME, _MAX_SIGNATURE_BYTES)
    except FileNotFoundError:
        return None
