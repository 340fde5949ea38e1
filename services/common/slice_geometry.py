"""How the picture of a slice maps to the stored pixels of its frame. Pure, without NumPy."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.common.orientation import Vector, is_orthonormal

Mark = Literal["L", "R", "A", "P", "H", "F"]
_AXES: tuple[tuple[Mark, Mark], ...] = (("L", "R"), ("P", "A"), ("H", "F"))  # towards higher and lower x, y, z


class SliceMarks(BaseModel):
    """The patient's directions at the picture's sides: left, right, anterior, posterior, head or feet.

    Of an oblique slice, each is the direction that the side is closest to.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    left: Mark
    right: Mark
    top: Mark
    bottom: Mark


def slice_marks(orientation: Vector | None) -> SliceMarks | None:
    """The marks of pixels by their ImageOrientationPatient; None where it is missing or malformed.

    Parameters
    ----------
    orientation : the direction of a row and of a column, of the turned pixels
    """
    if orientation is None or not is_orthonormal(orientation):
        return None
    (right, left), (bottom, top) = _ends(orientation[:3]), _ends(orientation[3:])
    return SliceMarks(left=left, right=right, top=top, bottom=bottom)


def _ends(direction: Vector) -> tuple[Mark, Mark]:
    """The marks at the end and at the start of a direction; on a tie, of the first axis."""
    axis = max(range(3), key=lambda number: (abs(direction[number]), -number))
    higher, lower = _AXES[axis]
    return (higher, lower) if direction[axis] > 0 else (lower, higher)


class SliceGeometry(BaseModel):
    """The recipe's picture of one slice in terms of the frame's stored pixels.

    The stored pixels are transposed, then their rows reversed, then their columns; the result is scaled to `height` x
    `width` and placed at `top`, `left` in the picture, which is air around it.

    Coordinates are continuous: pixel i covers i to i + 1, and its centre is i + 0.5.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # data from a stage, which may be newer

    rows: int = Field(ge=1, description="Rows of the stored frame")
    columns: int = Field(ge=1, description="Columns of the stored frame")
    transpose: bool = Field(description="first step from stored pixels to the picture: rows become columns")
    reverse_rows: bool = Field(description="second step: the order of rows is reversed")
    reverse_columns: bool = Field(description="third step: the order of columns is reversed")
    top: int = Field(ge=0, description="first row of the picture that the scaled slice covers")
    left: int = Field(ge=0, description="first column of the picture that the scaled slice covers")
    height: int = Field(ge=1, description="rows of the picture that the scaled slice covers; the others are padding")
    width: int = Field(ge=1, description="columns of the picture that the scaled slice covers; the others are padding")
    row_spacing_mm: float | None = Field(
        None,
        description="distance of two rows of the turned slice (transposed and reversed); null where the header states "
        "none, for a PNG, and in older reports",
    )
    column_spacing_mm: float | None = Field(None, description="distance of two columns of the turned slice; see rows")
    marks: SliceMarks | None = Field(
        None,
        description="the patient's directions at the sides of the picture; null without an orientation, for a PNG, and "
        "in older reports",
    )

    def to_source(self, row: float, column: float) -> tuple[float, float]:
        """Row and column in the stored frame of a point of the picture; outside the frame for a point of padding."""
        rows, columns = self._turned
        row, column = (row - self.top) * rows / self.height, (column - self.left) * columns / self.width
        row = rows - row if self.reverse_rows else row
        column = columns - column if self.reverse_columns else column
        return (column, row) if self.transpose else (row, column)

    def to_picture(self, row: float, column: float) -> tuple[float, float]:
        """Row and column in the picture of a point of the stored frame: the inverse of `to_source`."""
        rows, columns = self._turned
        row, column = (column, row) if self.transpose else (row, column)
        row = rows - row if self.reverse_rows else row
        column = columns - column if self.reverse_columns else column
        return self.top + row * self.height / rows, self.left + column * self.width / columns

    @property
    def _turned(self) -> tuple[int, int]:
        """Rows and columns of the transposed slice."""
        return (self.columns, self.rows) if self.transpose else (self.rows, self.columns)
