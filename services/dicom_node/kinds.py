"""Kinds of result objects."""

from typing import Final, Literal, get_args

Kind = Literal["sr", "text_sr", "secondary_capture", "segmentation", "key_objects", "parametric_map", "fhir"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
