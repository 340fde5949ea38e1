"""Rules that pass over a series by itself: each gives a reason, and all that apply are listed. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from services.common.body_part import names_head, names_other_body_part, other_body_part
from services.common.contrast_description import normalized
from services.common.orientation import is_axial
from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.selection.rule_file import CLASSES, DescriptionRules, Rules, SeriesRules
from services.dicom_node.selection.verdict import SeriesSummary

_ORIENTATION_VALUES: Final = 6
_LONGEST: Final = 256  # characters of a description that are searched; LO has 64 (PS3.5 6.2)


def exclusions(series: SeriesSummary, rules: Rules) -> tuple[str, ...]:
    """Reasons to pass over a series; none where it may be assessed. The number of images counts once it is final."""
    header = series.header
    found = [
        *_objects(header, rules.series),
        *_image_type(series, rules.series),
        *_orientation(header, rules.series),
        *_body_part(header, rules.series),
        *_descriptions(header, rules.description),
    ]
    if series.complete and series.slices < rules.series.min_images:
        found.append(f"too_few_images: {series.slices} of at least {rules.series.min_images} images (min_images)")
    return tuple(found)


def _objects(header: InstanceHeader, rules: SeriesRules) -> Iterator[str]:
    if header.software:
        yield "own_object: this software made it, so it is never scored"
    if header.modality and header.modality.upper() not in map(str.upper, rules.modalities):
        yield f"other_modality: Modality is none of {', '.join(rules.modalities)} (modalities)"
    if header.sop_class_uid not in {CLASSES[name] for name in rules.sop_classes}:
        yield f"other_sop_class: its SOP class is none of {', '.join(rules.sop_classes)} (sop_classes)"


def _image_type(series: SeriesSummary, rules: SeriesRules) -> Iterator[str]:
    kinds = series.header.image_type
    localizer = "LOCALIZER" in kinds
    if localizer and series.slices <= rules.max_localizer_images:
        yield "localizer: ImageType says LOCALIZER"
    if not rules.derived and (series.derived or series.header.derived):
        yield "derived: ImageType says DERIVED in an image, so its pixels are computed from other images (derived)"


def _orientation(header: InstanceHeader, rules: SeriesRules) -> Iterator[str]:
    """Frames of one object may have several orientations; the gateway sets those aside that are not axial."""
    orientation = header.image_orientation
    single = header.number_of_frames == 1 and orientation and len(orientation) == _ORIENTATION_VALUES
    if rules.axial and single and not is_axial(orientation):
        yield "not_axial: ImageOrientationPatient is coronal or sagittal (axial)"


def _body_part(header: InstanceHeader, rules: SeriesRules) -> Iterator[str]:
    if rules.body_part == "not other" and doubt_of_head(header) > 1:
        part = other_body_part(header.body_part_examined)
        yield f"other_body_part: BodyPartExamined says {part}, and no description names the head (body_part)"
    if rules.body_part == "head" and doubt_of_head(header):
        yield "no_head: neither BodyPartExamined nor a description names the head (body_part)"


def _descriptions(header: InstanceHeader, rules: DescriptionRules) -> Iterator[str]:
    if pattern := _matching(rules.exclude, [header.series_description]):
        yield f"excluded_description: SeriesDescription matches {pattern!r} (exclude)"
    if rules.include and not _matching(rules.include, _texts(header)):
        yield "no_included_description: no description matches any pattern of `include`"


def doubt_of_head(header: InstanceHeader) -> int:
    """0 where the header names the head, 1 where it names no part, 2 where it names another part only."""
    if names_head(header.body_part_examined) or any(map(names_head, map(normalized, _texts(header)))):
        return 0
    return 2 if names_other_body_part(header.body_part_examined) else 1


def _texts(header: InstanceHeader) -> list[str]:
    return [header.series_description, header.protocol_name, header.study_description]


def _matching(patterns: Iterable[str], texts: Iterable[str]) -> str | None:
    """The first pattern that matches a text, in plain capitals split into words or as it was sent."""
    words = [form for text in texts for form in (normalized(text), text[:_LONGEST])]
    return next((one for one in patterns if any(re.search(one, text, re.IGNORECASE) for text in words)), None)
