"""Copies of the sample series with UIDs of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.uid import generate_uid

from tests.running import ROOT

SAMPLES: Final = ROOT / "samples" / "series"


@dataclass(frozen=True)
class Series:
    """The files of one series, in order."""

    folder: Path
    study_uid: str
    series_uid: str

    @property
    def files(self) -> list[Path]:
        """Its files, in order."""
        return sorted(self.folder.glob("*.dcm"))


def new_series(folder: Path, changes: Mapping[str, object] | None = None) -> Series:
    """Write the sample series with new UIDs and `changes` of attributes, by keyword, into a new folder."""
    folder.mkdir(parents=True)
    series = Series(folder, generate_uid(), generate_uid())
    for path in sorted(SAMPLES.glob("*.dcm")):
        dataset = dcmread(path)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = series.study_uid, series.series_uid
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword, value in (changes or {}).items():
            setattr(dataset, keyword, value)
        dataset.save_as(folder / path.name)
    return series
