"""Maps values on the recipe's picture back onto the stored pixels of a frame: the inverse of preprocess' mapping.

Each stored row lies on one row or one column of the picture, so interpolation is separable: two small matrices.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.recipe import DEFAULT_RECIPE
from services.common.slice_geometry import SliceGeometry

PICTURE_SIDE: Final = DEFAULT_RECIPE.rows


def to_source_grid(cells: NDArray[np.float32], geometry: SliceGeometry) -> NDArray[np.float32]:
    """Interpolate values on a grid over the whole picture, bilinearly, at the centre of every stored pixel.

    Between the centres of the outermost cells and the picture's edge, values are those of the outermost cells.

    Parameters
    ----------
    cells : (r, c) float32, such as one label of a slice's blood map, or the picture with r = c = 512

    Returns
    -------
    (rows, columns) float32 of the stored frame
    """
    rows, columns = turned_shape(geometry)
    down = _weights(rows, geometry.top, geometry.height, cells.shape[0])
    right = _weights(columns, geometry.left, geometry.width, cells.shape[1])
    turned = down @ cells @ right.T
    turned = turned[:: -1 if geometry.reverse_rows else 1, :: -1 if geometry.reverse_columns else 1]
    return np.ascontiguousarray(turned.T if geometry.transpose else turned)


def turned_shape(geometry: SliceGeometry) -> tuple[int, int]:
    """Rows and columns of the stored frame in patient orientation, before scaling."""
    return (geometry.columns, geometry.rows) if geometry.transpose else (geometry.rows, geometry.columns)


@lru_cache(maxsize=32)
def _weights(pixels: int, start: int, extent: int, cells: int) -> NDArray[np.float32]:
    """(pixels, cells) float32: the weight of each cell at the centre of each pixel along one axis.

    Parameters
    ----------
    start, extent : the pixels cover the picture from `start`, over `extent`
    """
    centres = start + (np.arange(pixels) + 0.5) * extent / pixels
    places = np.clip(centres * cells / PICTURE_SIDE - 0.5, 0, cells - 1)
    lower = np.minimum(np.floor(places).astype(np.intp), max(cells - 2, 0))
    share = (places - lower).astype(np.float32)
    weights = np.zeros((pixels, cells), np.float32)
    weights[np.arange(pixels), lower] = 1 - share
    weights[np.arange(pixels), np.minimum(lower + 1, cells - 1)] += share
    weights.flags.writeable = False
    return weights
