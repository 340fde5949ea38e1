"""Phantoms as an archive in the layout of the RSNA 2019 challenge, with its habits and, on request, its traps.

rsna-intracranial-hemorrhage-detection/stage_2_train/ID_xxxxxxxxx.dcm
rsna-intracranial-hemorrhage-detection/stage_2_test/ID_xxxxxxxxx.dcm
rsna-intracranial-hemorrhage-detection/stage_2_train.csv                 ID,Label: six rows a slice
rsna-intracranial-hemorrhage-detection/stage_2_sample_submission.csv     the same for the test slices, all 0.5
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
from training.io.pool import parallel_map
from training.io.progress import progress_bar
from training.phantom.dicom_files import datasets, enlarged, file_of, set_enlarged
from training.phantom.geometry import SIZE
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import ANY_STUDY, Order
from training.rsna.archive import FOLDERS, ROOT, TABLE

LOG = logging.getLogger(__name__)
ROWS: Final = (*SUBTYPES, LABELS[0])  # the order of a slice's rows in the table
TEST_SHARE: Final = 0.14  # of the patients
AGAIN: Final = 0.15  # of the studies are a second one of the patient before, with traps
# All that the challenge left in its headers: no dates, no thickness, no scanner, no SOP class.
KEPT: Final = (
    *("SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "StudyID"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"),
    *("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope", "PixelData"),
)
MOMENT: Final = (2019, 9, 24, 12, 0, 0)  # every entry's, so that the archive is the same every time


@dataclass(frozen=True, slots=True)
class Plan:
    """What an archive shall hold: files of `size` 256, as the phantoms are computed, or 512, interpolated.

    order : what each study shall be like
    """

    studies: int
    seed: int = 7_000_000
    traps: bool = False
    masks: bool = False
    size: int = SIZE
    order: Order = ANY_STUDY


@dataclass(frozen=True, slots=True)
class Task:
    """One study of an archive."""

    number: int
    patient: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class Made:
    """One study's files by their names in the archive, and what the table says of its slices."""

    files: tuple[tuple[str, bytes], ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    test: bool


def write_archive(path: Path, plan: Plan, processes: int | None = None) -> None:
    """Write the archive under another name, and give it its own when it is whole."""
    part = path.with_name(path.name + ".part")
    rows: dict[bool, list[str]] = {False: [], True: []}
    rng = np.random.default_rng([plan.seed, 8])
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
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
    part.replace(path)
    LOG.info("%s: %d studies, %d slices", path, plan.studies, sum(map(len, rows.values())) // len(ROWS))


def _made(plan: Plan, processes: int | None) -> Iterator[Made]:
    return parallel_map(make, _tasks(plan), processes)


def _tasks(plan: Plan) -> list[Task]:
    rng, patient, tasks = np.random.default_rng([plan.seed, 9]), -1, []
    for number in range(plan.studies):
        again = plan.traps and number > 0 and rng.random() < AGAIN
        patient += 0 if again else 1
        tasks.append(Task(number, patient, plan))
    return tasks


def make(task: Task) -> Made:
    """One study's files and rows; the same for the same task."""
    plan, rng = task.plan, np.random.default_rng([task.plan.seed, 10, task.number])
    study = make_study(draw_patient(plan.seed + task.number, plan.order))
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
        files = [(f"{folder}/{own}.dcm", file_of(dataset)) for own, dataset in zip(names, slices, strict=True)]
    if plan.traps:
        _break(files, task)
    if plan.masks:
        files += _masks(names, study)
    rows = [(own, _truth(labels)) for own, labels in zip(names, study.labels, strict=True)]
    return Made(tuple(files), tuple(rows), test)


def _id(*words: str, digits: int = 9) -> str:
    return "ID_" + sha256(" ".join(words).encode()).hexdigest()[:digits]


def _identify(dataset: FileDataset, own: str, study: str, patient: str, *, many_windows: bool) -> None:
    """The challenge's identifiers, hashes behind `ID_`, and nothing but what its headers have."""
    del dataset.file_meta.MediaStorageSOPInstanceUID  # comes from the dataset when it is written
    for element in list(dataset):
        if element.keyword not in KEPT:
            del dataset[element.tag]
    dataset.PatientID, dataset.StudyID = _id(patient, digits=8), ""
    study_uid, series_uid = (_id(study, level, digits=10) for level in ("study", "series"))
    uids = {"SOPInstanceUID": own, "StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
    for keyword, value in uids.items():  # the challenge's are no UIDs to pydicom
        dataset[keyword] = DataElement(keyword, "UI", value, validation_mode=IGNORE)
    if many_windows:
        dataset.WindowCenter, dataset.WindowWidth = ["00036", "00036"], ["00080", "00080"]
    else:
        dataset.WindowCenter, dataset.WindowWidth = "30", "80"


def _store(dataset: FileDataset, hu: NDArray[np.int16], *, signed: bool, faulty: bool) -> None:
    """As 16 signed bits, as 12 unsigned ones, or as 12 whose intercept has been lost."""
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (16, 15, 1) if signed else (12, 11, 0)
    dataset.RescaleIntercept, dataset.RescaleSlope = "0" if faulty else "-1024", "1"
    if signed:
        dataset.PixelData = (hu + 1024).astype("<i2").tobytes()
    elif faulty:
        # What `services.preprocess` mends: 1000 is added, and what then passes 4095 has gone around.
        dataset.PixelData = (np.clip(hu, -1000, 3095).astype(np.int32) % 4096).astype("<u2").tobytes()
    else:
        dataset.PixelData = np.clip(hu + 1024, 0, 4095).astype("<u2").tobytes()


def _set_traps(rng: np.random.Generator, slices: Sequence[FileDataset]) -> None:
    """Two slices at one place, and one that is not square."""
    if rng.random() < 0.1 and len(slices) > 4:  # noqa: PLR2004 - share of the studies
        slices[2].ImagePositionPatient = slices[1].ImagePositionPatient
    if rng.random() < 0.1:  # noqa: PLR2004 - share of the studies
        last = slices[-1]
        rows = int(last.Rows) - 10
        last.PixelData = last.PixelData[: rows * int(last.Columns) * 2]
        last.Rows = rows


def _break(files: list[tuple[str, bytes]], task: Task) -> None:
    """One study in twenty has a file that ends too early, another one a file of noise."""
    if task.number % 20 == 7:  # noqa: PLR2004
        name, data = files[3]
        files[3] = name, data[: len(data) // 2]
    if task.number % 20 == 13:  # noqa: PLR2004
        name, data = files[3]
        files[3] = name, np.random.default_rng([task.plan.seed, 12, task.number]).bytes(len(data))


def _truth(labels: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(labels[LABELS.index(label)]) for label in ROWS)


def _table_rows(made: Made) -> list[str]:
    return [
        f"{own}_{label},{0.5 if made.test else value}"
        for own, values in made.rows
        for label, value in zip(ROWS, values, strict=True)
    ]


def _with_faults(rows: list[str], rng: np.random.Generator) -> list[str]:
    """Some slices twice, as in the challenge's table, and one slice's rows missing."""
    if not rows:
        return rows
    starts = [int(number) * 6 for number in rng.choice(len(rows) // 6, min(5, len(rows) // 6), replace=False)]
    gone = set(range(starts[0], starts[0] + 6))
    twice = [row for start in starts[1:] for row in rows[start : start + 6]]
    return [row for number, row in enumerate(rows) if number not in gone] + twice


def _masks(names: Sequence[str], study: Study) -> list[tuple[str, bytes]]:
    """Each slice's share of blood, (256, 256, 5) uint8 under `mask`, where it has any."""
    found = []
    for own, mask in zip(names, study.masks, strict=True):
        if mask.any():
            buffer = BytesIO()
            np.savez_compressed(buffer, mask=mask)
            found.append((f"{ROOT}/phantom_masks/{own}.npz", buffer.getvalue()))
    return found


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, MOMENT)
    entry.compress_type = archive.compression
    archive.writestr(entry, data, compresslevel=1)
