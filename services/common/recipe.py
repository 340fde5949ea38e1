"""The recipe: the three windows that map Hounsfield units to the channels of a picture, with a fingerprint."""

import hashlib
import json
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Window(BaseModel):
    """A window on the Hounsfield scale (DICOM PS3.3 C.11.2.1.2); values outside it are clipped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    center_hu: float
    width_hu: Annotated[float, Field(gt=0)]

    @property
    def lower_hu(self) -> float:
        """The value that maps to 0."""
        return self.center_hu - self.width_hu / 2

    @property
    def upper_hu(self) -> float:
        """The value that maps to 255."""
        return self.center_hu + self.width_hu / 2


class Recipe(BaseModel):
    """Windows and size of the pixels that a network takes, in serving as in training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: tuple[Window, Window, Window]
    rows: int = 512
    columns: int = 512

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that identify every parameter of the pixels."""
        canonical = json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


DEFAULT_RECIPE = Recipe(
    windows=(
        Window(name="bone", center_hu=600, width_hu=2800),
        Window(name="subdural", center_hu=80, width_hu=200),
        Window(name="soft_tissue", center_hu=40, width_hu=380),
    )
)
