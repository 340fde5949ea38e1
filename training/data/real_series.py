"""A real series from a folder of DICOM files, in Hounsfield units."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.preprocess.dicom_file import DecodedFrame, decode_frame
from services.preprocess.errors import UnreadableFile
from services.preprocess.pipeline import Pipeline
from services.preprocess.resample import resample_and_pad
from training.io.errors import TrainingError
from training.phantom.geometry import SIZE
from training.phantom.shapes import Floats

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RealSeries:
    """Slices as the services window them, towards the head.

    hu : (n, 512, 512) int16, Hounsfield units
    position_mm : (n,) float32
    """

    hu: NDArray[np.int16]
    pixel_mm: float
    position_mm: NDArray[np.float32]

    def reduced(self) -> tuple[Floats, float]:
        """The slices at the phantoms' size, (n, 256, 256), and their pixel spacing in mm."""
        step = self.hu.shape[1] // SIZE
        return self.hu.reshape(len(self.hu), SIZE, step, SIZE, step).mean(axis=(2, 4)), self.pixel_mm * step


def read_series(folder: Path) -> RealSeries:
    """Read the series with most slices, in the services' order; log each file left out with its reason.

    Raises
    ------
    TrainingError
        the folder holds no slices, or a slice of the series cannot be decoded
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    data = [path.read_bytes() for path in paths]
    report = Pipeline.read_headers(data, [len(file) for file in data])
    for aside in report.set_aside:
        LOG.warning("%s is left out: %s", paths[aside.file], aside.code)
    if not report.series:
        raise TrainingError(f"{folder} holds no slices: give a folder of the DICOM files of one series.")
    series = max(report.series, key=lambda found: len(found.items))
    images = [_image(paths[item.file], data[item.file], item.frame) for item in series.items]
    rows, columns = images[0].hu.shape
    larger_mm = max(rows * images[0].row_spacing_mm, columns * images[0].column_spacing_mm)
    hu = np.stack([resample_and_pad(image.hu, image.row_spacing_mm, image.column_spacing_mm) for image in images])
    return RealSeries(hu, larger_mm / hu.shape[1], np.array(series.position_mm, np.float32))


def _image(path: Path, data: bytes, frame: int) -> DecodedFrame:
    try:
        return decode_frame(memoryview(data), frame)
    except UnreadableFile as failure:
        raise TrainingError(f"{path} cannot be read: {failure.code}.") from None
