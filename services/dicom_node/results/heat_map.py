"""Heat maps of blood over grey pictures, and outlines of labels."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.labels import Label
from services.common.slice_geometry import SliceGeometry
from services.dicom_node.results.blood_map import BLOOD_THRESHOLD
from services.dicom_node.results.label_colours import LABEL_COLOURS
from services.dicom_node.results.source_grid import PICTURE_SIDE, to_source_grid

# The upper part of the colour map "inferno" (CC0): lightness rises evenly, so that the order needs no colour vision.
_COLOURS: Final = np.array(
    [(87, 16, 110), (120, 28, 109), (165, 44, 96), (207, 68, 70), (237, 105, 37), (251, 155, 6), (247, 209, 61)],
    np.float32,
)
_VISIBLE: Final = 0.1  # share of blood that is not tinted at all
_OPACITY: Final = 0.62  # of the tint where all is blood: anatomy stays visible
_OUTLINE: Final = 2  # pixels


def colours_of(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours (..., 3) from 0 to 255 of shares of blood (...) from 0 to 1."""
    places = np.clip(shares, 0, 1) * (len(_COLOURS) - 1)
    steps = np.arange(len(_COLOURS))
    return np.stack([np.interp(places, steps, _COLOURS[:, channel]) for channel in range(3)], -1).astype(np.float32)


def enlarge(cells: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(side, side) float32: values on the picture's grid, interpolated at each pixel of the picture at another size."""
    geometry = SliceGeometry(
        rows=side,
        columns=side,
        transpose=False,
        reverse_rows=False,
        reverse_columns=False,
        top=0,
        left=0,
        height=PICTURE_SIDE,
        width=PICTURE_SIDE,
    )
    return to_source_grid(cells, geometry)


def fuse(grey: NDArray[np.uint8], blood: Mapping[Label, NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Tint a picture by the largest share of blood of all labels, and outline each label above the threshold.

    Parameters
    ----------
    grey : (side, side) uint8
    blood : (rows, columns) float32 from 0 to 1 of each label, on the picture's grid

    Returns
    -------
    (side, side, 3) uint8
    """
    fused = np.repeat(grey[..., None], 3, axis=-1).astype(np.float32)
    if blood:
        shares = {label: enlarge(cells, len(grey)) for label, cells in blood.items()}
        fused = _tinted(fused, np.max(list(shares.values()), axis=0))
        for label, share in shares.items():
            fused[_outline(share > BLOOD_THRESHOLD)] = LABEL_COLOURS[label]
    return np.rint(fused).astype(np.uint8)


def _tinted(picture: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    opacity = _OPACITY * np.clip((shares - _VISIBLE) / (1 - _VISIBLE), 0, 1)[..., None] ** 0.5
    tinted: NDArray[np.float32] = (1 - opacity) * picture + opacity * colours_of(shares)
    return tinted


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask within `_OUTLINE` pixels of its border."""
    inner = mask.copy()
    for _ in range(_OUTLINE):
        padded = np.pad(inner, 1, constant_values=True)
        inner = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner
