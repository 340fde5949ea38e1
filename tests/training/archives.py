"""Small archives in the challenge's layout: a few patients, tiny slices, and whatever is to be wrong with them."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.config import disable_value_validation

from services.common.labels import LABELS, SUBTYPES
from tests.scans import ct_slice
from training.rsna.archive import FOLDERS, ROOT, TABLE, Split

SLICES = 3  # of each patient
ROWS = (*SUBTYPES, LABELS[0])

Files = dict[str, bytes]


def name_of(number: int, split: Split = "train") -> str:
    """The name of a slice; its patient is the number by SLICES."""
    return f"{FOLDERS[split]}/ID_{number:09x}.dcm"


def slice_of(number: int, side: int = 8, **tags: Any) -> bytes:
    """A slice of a patient's only series; those of higher number lie higher."""
    patient, place = divmod(number, SLICES)
    hu = np.random.default_rng(number).integers(-1000, 3000, (side, side)).astype(np.int16)
    own = {
        "SOPInstanceUID": f"ID_{number:09x}",
        "PatientID": f"ID_patient{patient}",
        "StudyInstanceUID": f"ID_study{patient:05}",
        "SeriesInstanceUID": f"ID_series{patient:04}",
        "ImagePositionPatient": [0, 0, 100.0 - 5 * (SLICES - place)],
        "InstanceNumber": None,
    }
    with disable_value_validation():  # the challenge's are no UIDs to pydicom
        return ct_slice(0, hu, **(own | tags))


def positive(number: int) -> tuple[str, ...]:
    """The labels that are true of a slice: every fourth patient bleeds, each in another place."""
    patient, place = divmod(number, SLICES)
    return ("any", SUBTYPES[patient // 4 % len(SUBTYPES)]) if patient % 4 == 0 and place else ()


def table(numbers: range) -> str:
    """The table of labels."""
    return "".join(["ID,Label\n", *(row for number in numbers for row in rows(number))])


def rows(number: int) -> Iterator[str]:
    """One slice's six rows."""
    yield from (f"ID_{number:09x}_{label},{int(label in positive(number))}\n" for label in ROWS)


def files(train_patients: int = 6, test_patients: int = 1) -> Files:
    """All files of an archive, in no order of their places."""
    train = range(train_patients * SLICES)
    test = range(train.stop, train.stop + test_patients * SLICES)
    numbers = np.random.default_rng(3).permutation(test.stop).tolist()
    slices = {name_of(n, "train" if n in train else "test"): slice_of(n) for n in numbers}
    return slices | {TABLE: table(train).encode()}


def write_zip(path: Path, held: Mapping[str, bytes], top: str = f"{ROOT}/") -> Path:
    """The files as Kaggle's zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in held.items():
            archive.writestr(f"{top}{name}", data)
    return path


def write_folder(path: Path, held: Mapping[str, bytes], top: str = f"{ROOT}/") -> Path:
    """The files as they are unpacked."""
    for name, data in held.items():
        file = path / top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path
