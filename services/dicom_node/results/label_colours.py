"""One colour a label in segmentations and pictures: the palette of Okabe and Ito, distinct to colour-blind readers."""

from collections.abc import Mapping
from typing import Final

from services.common.labels import Label

Colour = tuple[int, int, int]  # red, green, blue from 0 to 255

LABEL_COLOURS: Final[Mapping[Label, Colour]] = {
    "any": (230, 230, 230),
    "epidural": (230, 159, 0),
    "intraparenchymal": (240, 96, 60),
    "intraventricular": (86, 180, 233),
    "subarachnoid": (240, 228, 66),
    "subdural": (0, 200, 150),
}
