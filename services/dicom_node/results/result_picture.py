"""The picture of a result: a key slice with its heat map, or the reasons in words, beside the probabilities.

It is 1024 x 1024 with text that is legible at half that size, and says burned in that it is for research use only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from textwrap import shorten, wrap
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from services.common.labels import LABELS, Label
from services.common.recipe import DEFAULT_RECIPE
from services.dicom_node.results.blood_map import BLOOD_THRESHOLD
from services.dicom_node.results.heat_map import colours_of, fuse
from services.dicom_node.results.label_colours import LABEL_COLOURS, Colour

SIDE: Final = 1024
RESEARCH_USE: Final = "RESEARCH USE ONLY - not a medical device"
_SUBDURAL: Final = [window.name for window in DEFAULT_RECIPE.windows].index("subdural")
_BRAIN_HU: Final = 0, 80  # level 40, width 80

_BACKGROUND: Final = 14, 17, 22
_TEXT: Final = 236, 238, 241
_FAINT: Final = 158, 166, 176
_TRACK: Final = 52, 58, 66
_AMBER: Final = 255, 179, 0
_MARGIN: Final = 20
_BANNER: Final = 46
_IMAGE_TOP: Final = 112
_IMAGE: Final = 728  # rows and columns
_PANEL: Final = _MARGIN + _IMAGE + 20  # first column of the probabilities
_FOOT: Final = _IMAGE_TOP + _IMAGE + 16
_SMALL, _NORMAL, _LARGE = 21, 24, 31
_MOST_LINES: Final = 18  # of a message


@dataclass(frozen=True, slots=True)
class Bar:
    """The probabilities of one label.

    slice : None where the picture shows no slice
    """

    series: float
    threshold: float
    present: bool
    slice: float | None = None


@dataclass(frozen=True, slots=True)
class ResultPicture:
    """What a picture shows.

    pixels : (512, 512, 3) uint8 of the recipe; None where no slice is shown, but `message`
    has_recipe : whether the pixels are of the default recipe, so that their Hounsfield units are known
    blood : (rows, columns) float32 of each label that is present, on the picture's grid
    footer : lines below
    pixel_mm : size of a pixel of the picture; None where it is unknown
    is_oriented : whether the left of the picture is known to be the patient's right
    """

    title: str
    bars: Mapping[Label, Bar]
    footer: Sequence[str] = ()
    warnings: Sequence[str] = ()
    pixels: NDArray[np.uint8] | None = None
    has_recipe: bool = True
    blood: Mapping[Label, NDArray[np.float32]] = field(default_factory=dict)
    message: Sequence[str] = ()
    pixel_mm: float | None = None
    is_oriented: bool = False


def draw_result(result: ResultPicture) -> NDArray[np.uint8]:
    """(1024, 1024, 3) uint8, RGB; the same bytes for the same values."""
    canvas = Image.new("RGB", (SIDE, SIDE), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, SIDE, _BANNER), fill=_AMBER)
    draw.text((SIDE / 2, _BANNER / 2), RESEARCH_USE, fill=(0, 0, 0), font=_font(29), anchor="mm", stroke_width=0.4)
    _text(draw, (_MARGIN, (_BANNER + _IMAGE_TOP) / 2), result.title, _fitting(draw, result.title))
    if result.pixels is None:
        _draw_message(draw, result.message, _MARGIN + _IMAGE if result.bars else SIDE - _MARGIN)
    else:
        _draw_slice(canvas, draw, result, result.pixels)
    for number, label in enumerate(LABELS):
        if label in result.bars:
            _draw_bar(draw, _IMAGE_TOP + number * 118, label, result.bars[label], outlined=label in result.blood)
    for number, line in enumerate(result.footer):
        size, colour = (_SMALL, _FAINT) if number else (_NORMAL, _TEXT)
        _text(draw, (_MARGIN, _FOOT + 16 + 34 * number), line, size, colour)
    _draw_warnings(draw, result.warnings)
    return np.asarray(canvas)


def brain_window(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(512, 512) uint8: level 40, width 80, from the recipe's subdural window, whose levels are 0.8 HU apart."""
    window = DEFAULT_RECIPE.windows[_SUBDURAL]
    hu = window.lower_hu + np.arange(256) * (window.width_hu / 255)
    low, high = _BRAIN_HU
    table = np.rint(np.clip((hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    grey: NDArray[np.uint8] = table[pixels[..., _SUBDURAL]]
    return grey


def _draw_slice(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, result: ResultPicture, pixels: NDArray[np.uint8]
) -> None:
    grey = brain_window(pixels) if result.has_recipe else pixels[..., _SUBDURAL]
    enlarged = Image.fromarray(grey).resize((_IMAGE, _IMAGE), Image.Resampling.BICUBIC)
    canvas.paste(Image.fromarray(fuse(np.asarray(enlarged), result.blood)), (_MARGIN, _IMAGE_TOP))
    if result.has_recipe:
        _on_image(draw, (_MARGIN + _IMAGE - 76, _IMAGE_TOP + 24), "L 40  W 80", _SMALL)
    if result.is_oriented:
        _draw_letters(draw)
    if result.pixel_mm:
        _draw_scale(draw, _IMAGE / 512 / result.pixel_mm)
    if result.blood:
        _draw_legend(canvas, draw)


def _draw_letters(draw: ImageDraw.ImageDraw) -> None:
    """Patient directions: right, left, anterior, posterior (PS3.3 C.7.6.1.1.1)."""
    middle, inset = _IMAGE / 2, 24
    for letter, right, down in (
        ("R", inset, middle),
        ("L", _IMAGE - inset, middle),
        ("A", middle, inset),
        ("P", middle, _IMAGE - inset),
    ):
        _on_image(draw, (_MARGIN + right, _IMAGE_TOP + down), letter, 32)


def _draw_scale(draw: ImageDraw.ImageDraw, pixels_per_mm: float) -> None:
    left, bottom, length = _MARGIN + 24, _IMAGE_TOP + _IMAGE - 24, 50 * pixels_per_mm
    for colour, width in (((0, 0, 0), 8), ((255, 255, 255), 4)):
        draw.line((left, bottom, left + length, bottom), fill=colour, width=width)
    _on_image(draw, (left + length / 2, bottom - 20), "50 mm", _SMALL)


def _draw_legend(canvas: Image.Image, draw: ImageDraw.ImageDraw) -> None:
    """The scale of colours, with the threshold of outlines."""
    left, top, width, height = _PANEL, _FOOT + 40, 236, 18
    ramp = np.rint(colours_of(np.linspace(0, 1, width, dtype=np.float32))).astype(np.uint8)
    canvas.paste(Image.fromarray(np.repeat(ramp[None], height, axis=0)), (left, top))
    _text(draw, (left, top - 24), "Blood in the heat map", _SMALL)
    threshold = left + width * BLOOD_THRESHOLD
    draw.line((threshold, top - 4, threshold, top + height + 4), fill=_TEXT, width=3)
    for share, anchor in ((0.0, "lm"), (BLOOD_THRESHOLD, "mm"), (1.0, "rm")):
        draw.text((left + width * share, top + 38), f"{share:g}", fill=_FAINT, font=_font(_SMALL), anchor=anchor)
    _text(draw, (left, top + 70), f"outlined above {BLOOD_THRESHOLD:g}", _SMALL, _FAINT)


def _draw_bar(draw: ImageDraw.ImageDraw, top: int, label: Label, bar: Bar, *, outlined: bool) -> None:
    left, right = _PANEL, SIDE - _MARGIN
    colour = LABEL_COLOURS[label] if bar.present else _FAINT
    if outlined:
        draw.rectangle((left, top + 6, left + 14, top + 24), fill=LABEL_COLOURS[label])
    _text(draw, (left + (24 if outlined else 0), top + 15), label, _NORMAL, _TEXT if bar.present else _FAINT)
    draw.rounded_rectangle((left, top + 36, right, top + 48), 6, fill=_TRACK)
    length = bar.series * (right - left)
    if length >= 1:
        draw.rounded_rectangle((left, top + 36, left + length, top + 48), min(6, length / 2), fill=colour)
    place = left + bar.threshold * (right - left)
    draw.line((place, top + 31, place, top + 53), fill=_TEXT, width=2)
    _text(draw, (left, top + 68), f"{bar.series:.2f} {'present' if bar.present else 'absent'}", _SMALL, colour)
    if bar.slice is not None:
        draw.text((right, top + 68), f"slice {bar.slice:.2f}", fill=_FAINT, font=_font(_SMALL), anchor="rm")


def _draw_message(draw: ImageDraw.ImageDraw, lines: Sequence[str], right: int) -> None:
    """Lines in a frame that ends at column `right`."""
    draw.rectangle((_MARGIN, _IMAGE_TOP, right, _IMAGE_TOP + _IMAGE), outline=_TRACK, width=2)
    characters = (right - _MARGIN - 56) // 13
    wrapped = [part for line in lines for part in [*wrap(line, characters), ""]]
    if len(wrapped) > _MOST_LINES:
        wrapped[_MOST_LINES - 1 :] = ["... The SR has all reasons."]
    for number, line in enumerate(wrapped):
        _text(draw, (_MARGIN + 28, _IMAGE_TOP + 40 + 36 * number), line, _NORMAL)


def _draw_warnings(draw: ImageDraw.ImageDraw, warnings: Sequence[str]) -> None:
    """The first warning, as far as it fits in two lines, and the number of others."""
    if warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        text = shorten(f"Warning: {warnings[0]}", 124 - len(more), placeholder=" ...")
        for number, line in enumerate(wrap(text + more, 66)):
            _text(draw, (_MARGIN, _FOOT + 118 + 28 * number), line, _SMALL, _AMBER)


def _fitting(draw: ImageDraw.ImageDraw, title: str) -> int:
    """The largest size at which a title fits."""
    sizes = range(_LARGE, _SMALL, -2)
    return next((size for size in sizes if draw.textlength(title, font=_font(size)) <= SIDE - 2 * _MARGIN), _SMALL)


def _text(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, colour: Colour = _TEXT) -> None:
    draw.text(place, text, fill=colour, font=_font(size), anchor="lm")


def _on_image(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int) -> None:
    draw.text(place, text, fill=(255, 255, 255), font=_font(size), anchor="mm", stroke_width=3, stroke_fill=(0, 0, 0))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font: nothing depends on the fonts of the machine."""
    return ImageFont.load_default(size)
