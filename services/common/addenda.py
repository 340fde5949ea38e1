"""Addenda of a bundle: a site's figures on its own patients, attached without a change of the card.

`addenda/<id>.json` in the bundle's folder names the card by its SHA-256. `<id>.json.sig` is its signature, as
`card.json.sig` is the card's. An addendum that cannot be used is refused by name; the bundle is served without it.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from services.common.bundle_files import BundleFault, open_addenda, read_file
from services.common.labels import LABELS, Label
from services.common.operating_points import OperatingPoint

MAX_ADDENDUM_BYTES: Final = 64 * 1024  # one with three operating points has about 14 kB
MAX_ADDENDA: Final = 20
_MAX_SIGNATURE_BYTES: Final = 4096
_SUFFIX: Final = ".json"
_Z: Final = 1.959964  # 97.5th percentile of the normal distribution
INTERVALS: Final = (
    "rates: Wilson's score interval, 95 %, cases as independent; AUC: 95 % bootstrap interval that draws whole patients"
)
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
AddendumId = Annotated[str, StringConstraints(pattern="^[0-9a-z][0-9a-z-]{0,63}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rate(_Frozen):
    """A share of cases, and its 95 % interval."""

    value: Share
    low: Share
    high: Share


def wilson(hits: int, cases: int) -> Rate | None:
    """A share of cases with Wilson's 95 % score interval (J Am Stat Assoc 1927;22:209); None without cases."""
    if not cases:
        return None
    value = hits / cases
    centre = value + _Z**2 / (2 * cases)
    reach = _Z * (value * (1 - value) / cases + _Z**2 / (4 * cases**2)) ** 0.5
    low, high = ((centre + side * reach) / (1 + _Z**2 / cases) for side in (-1, 1))
    return Rate(value=round(value, 4), low=round(max(low, 0.0), 4), high=round(min(high, 1.0), 4))


class PointFigures(_Frozen):
    """Cases of one label at one operating point: true and false positives, true and false negatives."""

    tp: int = Field(ge=0)
    fp: int = Field(ge=0)
    tn: int = Field(ge=0)
    fn: int = Field(ge=0)
    sensitivity: Rate | None = Field(description="null without positive cases")
    specificity: Rate | None = Field(description="null without negative cases")

    @classmethod
    def of(cls, tp: int, fp: int, tn: int, fn: int) -> Self:
        """The figures of these counts."""
        return cls(tp=tp, fp=fp, tn=tn, fn=fn, sensitivity=wilson(tp, tp + fn), specificity=wilson(tn, tn + fp))


class LabelFigures(_Frozen):
    """Figures of one label at one level; cases whose label is unknown do not count."""

    positives: int = Field(ge=0)
    negatives: int = Field(ge=0)
    auc: Share | None
    auc_95_interval: tuple[Share | None, Share | None]
    points: dict[OperatingPoint, PointFigures]

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        for point, counts in self.points.items():
            if (counts.tp + counts.fn, counts.tn + counts.fp) != (self.positives, self.negatives):
                raise ValueError(f"the counts at the operating point {point!r} do not add up to the cases")
        return self


class LevelFigures(_Frozen):
    """Figures by slice and by series."""

    slice: dict[Label, LabelFigures]
    series: dict[Label, LabelFigures]

    @model_validator(mode="after")
    def _every_label(self) -> Self:
        for level in (self.slice, self.series):
            if tuple(level) != LABELS:
                raise ValueError(f"figures must be given for {', '.join(LABELS)}, in this order")
        return self


class Addendum(_Frozen):
    """An evaluation of a bundle on the patients of a site."""

    format: Literal["ich-bundle-addendum-1"] = "ich-bundle-addendum-1"
    id: AddendumId
    bundle: str = Field(description="name in the card")
    card_sha256: Sha256 = Field(description="SHA-256 of the card.json that was measured")
    created: str = Field(description="UTC, ISO 8601")
    software: str = Field(description="version of the software that measured")
    data: str = Field(min_length=1, max_length=500, description="description of the data, without patients' names")
    patients: int = Field(ge=1)
    series: int = Field(ge=1)
    slices: int = Field(ge=1)
    left_out: dict[str, int] = Field(description="series, slices and files that do not count, by reason")
    intervals: str = Field(default=INTERVALS, description="how the intervals were computed")
    figures: LevelFigures


class RefusedAddendum(_Frozen):
    """An addendum that is not used."""

    name: str
    why: str


class Addenda(_Frozen):
    """Addenda of a bundle, in the order of their names, and the refused ones."""

    accepted: tuple[Addendum, ...] = ()
    refused: tuple[RefusedAddendum, ...] = ()


class AddendumCheck(Protocol):
    """BundleFault where no trusted key signed an addendum."""

    def check_addendum(self, addendum: bytes, signature: bytes | None) -> str: ...


def read_addenda(bundle: Path, card_sha256: str, trusted: AddendumCheck | None) -> Addenda:
    """Read the addenda of a bundle; none where it has no such folder.

    Parameters
    ----------
    trusted : checks signatures; None accepts unsigned addenda

    Raises
    ------
    BundleFault
        `addenda` is no folder
    """
    accepted: list[Addendum] = []
    refused: list[RefusedAddendum] = []
    with open_addenda(bundle) as (folder, names):
        found = [name for name in names if name.endswith(_SUFFIX)]
        why = f"a bundle has at most {MAX_ADDENDA} addenda; remove older ones"
        refused += [RefusedAddendum(name=name, why=why) for name in found[MAX_ADDENDA:]]
        for name in found[:MAX_ADDENDA]:
            try:
                accepted.append(_read(folder, name, card_sha256, trusted))
            except (BundleFault, OSError, ValidationError) as error:
                refused.append(RefusedAddendum(name=name, why=_words(error)))
    return Addenda(accepted=tuple(accepted), refused=tuple(refused))


def _read(folder: int, name: str, card_sha256: str, trusted: AddendumCheck | None) -> Addendum:
    content = read_file(folder, name, MAX_ADDENDUM_BYTES)
    if trusted:
        trusted.check_addendum(content, _read_signature(folder, name))
    found = Addendum.model_validate_json(content)
    if found.id + _SUFFIX != name:
        raise BundleFault(f"it is the addendum {found.id!r}; give the file this name")
    if found.card_sha256 != card_sha256:
        raise BundleFault(
            f"it is about another card ({found.card_sha256[:12]}, this one is {card_sha256[:12]}); measure this bundle "
            "by `python -m training evaluate --files`, or remove the addendum"
        )
    return found


def _read_signature(folder: int, name: str) -> bytes | None:
    try:
        return read_file(folder, f"{name}.sig", _MAX_SIGNATURE_BYTES)
    except FileNotFoundError:
        return None


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"it is no valid addendum ({place}: {first['msg']}); attach it again"
    return f"it cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
