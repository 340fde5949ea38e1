"""The name by which result objects state their maker, and by which the node recognizes them."""

from typing import Final

SOFTWARE: Final = "ich-detect"
"""ManufacturerModelName (0008,1090) of every result object; an instance that has it is never scored."""
MANUFACTURER: Final = "ich-detect (open research software)"
"""Manufacturer (0008,0070) of every result object."""
