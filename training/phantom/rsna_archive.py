"""Writes phantoms as an archive in the layout of the RSNA 2019 challenge and, on request, with its faults.

rsna-intracranial-hemorrhage-detection/stage_2_train/ID_xxxxxxxxx.dcm
rsna-intracranial-hemorrhage-detection/stage_2_test/ID_xxxxxxxxx.dcm
rsna-intracranial-hemorrhage-detection/stage_2_train.csv                 ID,Label: six rows a slice
rsna-intracranial-hemorrhage-detection/stage_2_sample_submission.csv     the same for test slices, all 0.5
"""

import logging
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.config import IGNORE, disable_value_validation
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset
from pydicom.uid import ImplicitVRLittleEndian

from services.common.labels import LABELS, SUBTYPES
from training.io.files import write_atomically
from training.io.pool import parallel_map
from training.io.progress import progress_bar
from training.phantom.dicom_files import datasets, enlarged, file_bytes, set_enlarged
from training.phantom.geometry import SIZE
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import RANDOM_STUDY, StudyOptions
from training.rsna.archive import FOLDERS, ROOT, TABLE

LOG = logging.getLogger(__name__)
ROWS: Final = (*SUBTYPES, LABELS[0])  # order of a slice's rows in the table
TEST_SHARE: Final = 0.14  # of the patients
REPEATED_SHARE: Final = 0.15  # share of studies that belong to the patient before, with traps
# The keywords in the challenge's headers: no dates, no thickness, no scanner, no SOP class.
KEPT_KEYWORDS: Final = (
    *("SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "StudyID"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"),
    *("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope", "PixelData"),
)
ENTRY_TIME: Final = (2019, 9, 24, 12, 0, 0)  # of every entry, so that archives are reproducible


@dataclass(frozen=True, slots=True)
class Plan:
    """Options of an archive. Files of `size` 256 are as computed, those of 512 are interpolated.

    options : what each study shall be like
    """

    studies: int
    seed: int = 7_000_000
    traps: bool = False
    masks: bool = False
    size: int = SIZE
    options: StudyOptions = RANDOM_STUDY


@dataclass(frozen=True, slots=True)
class Task:
    """One study of an archive."""

    number: int
    patient: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """One study's files by their names in the archive, and its slices' rows of the table of labels."""

    files: tuple[tuple[str, bytes], ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    test: bool


def write_archive(path: Path, plan: Plan, processes: int | None = None) -> None:
    """Write the archive atomically."""
    write_atomically(path, lambda part: _write(part, plan, processes))


def _write(path: Path, plan: Plan, processes: int | None) -> None:
    rows: dict[bool, list[str]] = {False: [], True: []}
    rng = np.random.default_rng([plan.seed, 8])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with progress_bar("phantoms", plan.studies, "studies") as shown:
            for made in _made(plan, processes):
                for name, data in made.files:
                    _add(archive, name, data)
                rows[made.test] += _table_rows(made)
                shown.update()
        if plan.traps:
            rows[False] = _with_faults(rows[False], rng)
        for name, test in ((TABLE, False), ("stage_2_sample_submission.csv", True)):
            _add(archive, f"{ROOT}/{name}", "\n".join(["ID,Label", *rows[test], ""]).encode())
    LOG.info("phantoms: %d studies, %d slices", plan.studies, sum(map(len, rows.values())) // len(ROWS))


def _made(plan: Plan, processes: int | None) -> Iterator[StudyFiles]:
    return parallel_map(make_files, _tasks(plan), processes)


def _tasks(plan: Plan) -> list[Task]:
    rng, patient, tasks = np.random.default_rng([plan.seed, 9]), -1, []
    for number in range(plan.studies):
        again = plan.traps and number > 0 and rng.random() < REPEATED_SHARE
        patient += 0 if again else 1
        tasks.append(Task(number, patient, plan))
    return tasks


def make_files(task: Task) -> StudyFiles:
    """Make one study's files and rows; the same task gives the same bytes."""
    plan, rng = task.plan, np.random.default_rng([task.plan.seed, 10, task.number])
    study = make_study(draw_patient(plan.seed + task.number, plan.options))
    name = f"{plan.seed} {task.number}"
    slices, hu = datasets(study, name), study.hu
    names = [_id(name, "slice", str(index)) for index in range(len(slices))]
    test = np.random.default_rng([plan.seed, 11, task.patient]).random() < TEST_SHARE
    faulty = plan.traps and rng.random() < 0.2  # noqa: PLR2004 - share of the studies
    signed, implicit, many = (rng.random() < 0.5 for _ in range(3))  # noqa: PLR2004 - half of the studies
    folder = f"{ROOT}/{FOLDERS['test' if test else 'train']}"
    if plan.size != SIZE:
        hu = enlarged(hu)
        for dataset in slices:
            set_enlarged(dataset)
    for dataset, pixels, own in zip(slices, hu, names, strict=True):
        _identify(dataset, own, name, f"{plan.seed} patient {task.patient}", many_windows=many)
        _store(dataset, pixels, signed=signed and not faulty, faulty=faulty)
        if implicit:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    if plan.traps:
        _set_traps(rng, slices)
    with disable_value_validation():
        files = [(f"{folder}/{own}.dcm", file_bytes(dataset)) for own, dataset in zip(names, slices, strict=True)]
    if plan.traps:
        _break(files, task)
    if plan.masks:
        files += _masks(names, study)
    rows = [(own, _truth(labels)) for own, labels in zip(names, study.labels, strict=True)]
    return StudyFiles(tuple(files), tuple(rows), test)


def _id(*words: str, digits: int = 9) -> str:
    return "ID_" + sha256(" ".join(words).encode()).hexdigest()[:digits]


def _identify(dataset: FileDataset, own: str, study: str, patient: str, *, many_windows: bool) -> None:
    """Set the challenge's identifiers, `ID_` and a hash, and remove all keywords that its headers lack."""
    del dataset.file_meta.MediaStorageSOPInstanceUID  # comes from the dataset when it is written
    for element in list(dataset):
        if element.keyword not in KEPT_KEYWORDS:
            del dataset[element.tag]
    dataset.PatientID, dataset.StudyID = _id(patient, digits=8), ""
    study_uid, series_uid = (_id(study, level, digits=10) for level in ("study", "series"))
    uids = {"SOPInstanceUID": own, "StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
    for keyword, value in uids.items():  # pydicom rejects the challenge's identifiers as UIDs
        dataset[keyword] = DataElement(keyword, "UI", value, validation_mode=IGNORE)
    if many_windows:
        dataset.WindowCenter, dataset.WindowWidth = ["00036", "00036"], ["00080", "00080"]
    else:
        dataset.WindowCenter, dataset.WindowWidth = "30", "80"


def _store(dataset: FileDataset, hu: NDArray[np.int16], *, signed: bool, faulty: bool) -> None:
    """Store 16 signed bits, 12 unsigned bits, or 12 unsigned bits with a missing intercept."""
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (16, 15, 1) if signed else (12, 11, 0)
    dataset.RescaleIntercept, dataset.RescaleSlope = "0" if faulty else "-1024", "1"
    if signed:
        dataset.PixelData = (hu + 1024).astype("<i2").tobytes()
    elif faulty:
        # `services.preprocess` repairs it: adds 1000; values above 4095 have wrapped around.
        dataset.PixelData = (np.clip(hu, -1000, 3095).astype(np.int32) % 4096).astype("<u2").tobytes()
    else:
        dataset.PixelData = np.clip(hu + 1024, 0, 4095).astype("<u2").tobytes()


def _set_traps(rng: np.random.Generator, slices: Sequence[FileDataset]) -> None:
    """Two slices at one position, and one slice that is not square."""
    if rng.random() < 0.1 and len(slices) > 4:  # noqa: PLR2004 - share of the studies
        slices[2].ImagePositionPatient = slices[1].ImagePositionPatient
    if rng.random() < 0.1:  # noqa: PLR2004 - share of the studies
        last = slices[-1]
        rows = int(last.Rows) - 10
        last.PixelData = last.PixelData[: rows * int(last.Columns) * 2]
        last.Rows = rows


def _break(files: list[tuple[str, bytes]], task: Task) -> None:
    """One study in twenty has a truncated file, another one a file of noise."""
    if task.number % 20 == 7:  # noqa: PLR2004
        name, data = files[3]
        files[3] = name, data[: len(data) // 2]
    if task.number % 20 == 13:  # noqa: PLR2004
        name, data = files[3]
        files[3] = name, np.random.default_rng([task.plan.seed, 12, task.number]).bytes(len(data))


def _truth(labels: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(labels[LABELS.index(label)]) for label in ROWS)


def _table_rows(made: StudyFiles) -> list[str]:
    return [
        f"{own}_{label},{0.5 if made.test else value}"
        for own, values in made.rows
        for label, value in zip(ROWS, values, strict=True)
    ]


def _with_faults(rows: list[str], rng: np.random.Generator) -> list[str]:
    """Duplicate some slices' rows, as in the challenge's table, and remove one slice's."""
    if not rows:
        return rows
    starts = [int(number) * 6 for number in rng.choice(len(rows) // 6, min(5, len(rows) // 6), replace=False)]
    gone = set(range(starts[0], starts[0] + 6))
    twice = [row for start in starts[1:] for row in rows[start : start + 6]]
    return [row for number, row in enumerate(rows) if number not in gone] + twice


def _masks(names: Sequence[str], study: Study) -> list[tuple[str, bytes]]:
    """Each slice's share of blood, (256, 256, 5) uint8 under the key `mask`, where it has any."""
    found = []
    for own, mask in zip(names, study.masks, strict=True):
        if mask.any():
            buffer = BytesIO()
            np.savez_compressed(buffer, mask=mask)
            found.append((f"{ROOT}/phantom_masks/{own}.npz", buffer.getvalue()))
    return found


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, ENTRY_TIME)
    entry.compress_type = archive.compression
    archive.writestr(entry, data, compresslevel=1)
