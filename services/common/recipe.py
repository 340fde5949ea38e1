"""How Hounsfield units become the three channels of a picture: a frozen value with a fingerprint."""

import hashlib
import json
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Window(BaseModel):
    """A window on the Hounsfield scale (DICOM PS3.3 C.11.2.1.2): what lies outside it is clipped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    center_hu: float
    width_hu: Annotated[float, Field(gt=0)]

    @property
    def lower_hu(self) -> float:
        """The value shown as 0."""
        return self.center_hu - self.width_hu / 2

    @property
    def upper_hu(self) -> float:
        """The value shown as 255."""
        return self.center_hu + self.width_hu / 2


class Recipe(BaseModel):
    """What a network's pixels are made by; a network is only ever shown pixels of the recipe that it learnt from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: tuple[Window, Window, Window]
    rows: int = 512
    columns: int = 512

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over everything that changes a pixel."""
        canonical = json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


DEFAULT_RECIPE = Recipe(
    windows=(
        Window(name="bone", center_hu=600, width_hu=2800),
        Window(name="subdural", center_hu=80, width_hu=200),
        Window(name="soft_tissue", center_hu=40, width_hu=380),
    )
)
