"""Checks files against another decoder: `python -m tests.preprocess.corpus [FOLDER ...]` prints tables.

The files are generated, or from pydicom's wheel or the folders. The exit code is 1 if a file is wrong.

Each file must be decoded correctly or refused with a code. The reference is pydicom's plain reader for uncompressed
files, and gdcm or imagecodecs for compressed files.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final
from warnings import catch_warnings, simplefilter

import numpy as np
import pydicom
import pydicom.data
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    CTImageStorage,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from services.preprocess.decoder_processes import DecoderProcesses
from services.preprocess.dicom_file import open_dicom
from services.preprocess.errors import UnreadableFile
from services.preprocess.pipeline import Pipeline
from services.preprocess.resample import AIR_HU
from tests.preprocess.dcmtk_files import by_dcmtk
from tests.preprocess.dicom_files import Entry
from tests.preprocess.gdcm_files import read_by_gdcm
from tests.preprocess.generated_files import generated
from tests.preprocess.imagecodecs_files import READERS, read_by_imagecodecs

IN_THE_WHEEL: Final = Path(pydicom.data.__file__).parent
# The service itself uses other decoders for these.
_BY_GDCM: Final = (*JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes)
_JPEG_STEPS: Final = 1  # two decoders may round the cosine transform differently


@dataclass(frozen=True, slots=True)
class Fate:
    """The result for a file: `right`, `refused` with a code, `wrong`, or `unproven` without another decoder."""

    entry: str
    syntax: str
    kind: str
    code: str = ""


def judge(entries: Iterable[Entry]) -> list[Fate]:
    """The result for each file. Any exception is a fault of the service."""
    decoders = DecoderProcesses()
    try:
        return [_judge(entry, decoders) for entry in entries]
    finally:
        decoders.close()


def _judge(entry: Entry, decoders: DecoderProcesses) -> Fate:
    syntax = _syntax(entry.data)
    report = Pipeline.read_headers([entry.data], [len(entry.data)])
    if report.set_aside:
        return Fate(entry.name, syntax, "refused", report.set_aside[0].code)
    try:
        hu = open_dicom(entry.data).decode(0, decoders.decompress).hu
    except UnreadableFile as refusal:
        return Fate(entry.name, syntax, "refused", refusal.code)
    wanted = _expected(entry)
    if wanted is None:
        return Fate(entry.name, syntax, "wrong" if hu.min() == hu.max() else "unproven")
    error = np.abs(hu.astype(int) - wanted[0])[wanted[1]].max(initial=0)
    return Fate(entry.name, syntax, "right" if error <= wanted[2] else "wrong", f"{error:g} HU")


def _expected(entry: Entry) -> tuple[NDArray[np.int64], NDArray[np.bool_], float] | None:
    """The Hounsfield units, the mask of pixels outside padding, and the tolerance."""
    if entry.hu is not None:
        return entry.hu.astype(np.int64), np.ones(entry.hu.shape, np.bool_), entry.error_hu
    found = _dataset(entry.data)
    stored = _by_another_decoder(found)
    if stored is None:
        return None
    slope, intercept = float(found.get("RescaleSlope", 1)), float(found.get("RescaleIntercept", 0))
    if found.BitsStored == 12 and not found.PixelRepresentation and intercept > -100:  # RSNA's fault
        stored, intercept = (stored + 1000) % 4096, -1000
    lossy = found.file_meta.get("TransferSyntaxUID") in (JPEGBaseline8Bit, JPEGExtended12Bit)
    hu = np.clip(np.rint(stored * slope + intercept), -32768, 32767).astype(np.int64)
    counts = (hu != AIR_HU) if "PixelPaddingValue" not in found else stored != int(found.PixelPaddingValue)
    return hu, counts, abs(slope) * _JPEG_STEPS if lossy else 0


def _by_another_decoder(found: Dataset) -> NDArray[np.int64] | None:
    syntax = found.file_meta.get("TransferSyntaxUID", UID("1.2.840.10008.1.2"))
    if not syntax.is_compressed:
        found.file_meta.TransferSyntaxUID = syntax
        pixels = found.pixel_array
    elif syntax == RLELossless:
        pixels = read_by_gdcm(found)
    elif syntax in READERS:
        pixels = read_by_imagecodecs(found)
    elif syntax in _BY_GDCM:
        pixels, _ = get_decoder(syntax).as_array(found, decoding_plugin="gdcm", index=0)
    else:
        return None
    first: NDArray[np.int64] = pixels.reshape(-1, found.Rows, found.Columns)[0].astype(np.int64)
    return first


def _dataset(data: bytes) -> Dataset:
    found = pydicom.dcmread(BytesIO(data), force=True)
    if not hasattr(found, "file_meta") or "TransferSyntaxUID" not in found.file_meta:
        found.file_meta = pydicom.dataset.FileMetaDataset()
        implicit, little = found.original_encoding
        uids = {(True, True): "1.2.840.10008.1.2", (False, True): "1.2.840.10008.1.2.1"}
        found.file_meta.TransferSyntaxUID = UID(uids.get((bool(implicit), bool(little)), "1.2.840.10008.1.2.2"))
    return found


def _syntax(data: bytes) -> str:
    """The name of a file's transfer syntax, where it is DICOM and states one."""
    try:
        return UID(pydicom.dcmread(BytesIO(data), stop_before_pixels=True).file_meta.TransferSyntaxUID).name
    except Exception:  # noqa: BLE001 - text, archives and broken files say none
        return "none"


def as_ct(data: bytes) -> bytes | None:
    """A greyscale image relabelled as CT, its pixels unchanged; None for any other file."""
    try:
        found = pydicom.dcmread(BytesIO(data), force=True)
        grey = found.SamplesPerPixel == 1 and found.PhotometricInterpretation == "MONOCHROME2"
        if not grey or "TransferSyntaxUID" not in found.file_meta:
            return None
        found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = CTImageStorage
        found.Modality, found.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        found.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        file = BytesIO()
        pydicom.dcmwrite(file, found)
        return file.getvalue()
    except Exception:  # noqa: BLE001 - not an image
        return None


def files_under(folder: Path) -> list[Entry]:
    """All files of a folder."""
    return [
        Entry(str(path.relative_to(folder)), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()
    ]


def relabelled(entries: Iterable[Entry]) -> list[Entry]:
    """The greyscale images among files, relabelled as CT."""
    return [Entry(f"{entry.name} as CT", data) for entry in entries if (data := as_ct(entry.data))]


def table(fates: Iterable[Fate]) -> str:
    """The results by transfer syntax as a table, with the name of each wrong file."""
    fates = list(fates)
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for fate in fates:
        rows[fate.syntax][fate.kind] += 1
    kinds = ("right", "refused", "unproven", "wrong")
    width = max(map(len, rows), default=0)
    lines = [f"{'transfer syntax':{width}} {'files':>6}" + "".join(f" {kind:>9}" for kind in kinds)]
    lines += [
        f"{syntax:{width}} {row.total():6}" + "".join(f" {row[kind]:9}" for kind in kinds)
        for syntax, row in sorted(rows.items())
    ]
    why = Counter(fate.code for fate in fates if fate.kind == "refused")
    lines.append("refused: " + ", ".join(f"{code} {count}" for code, count in why.most_common()))
    return "\n".join([*lines, *(f"{fate.kind} {fate.entry} {fate.code}" for fate in faults(fates))])


def _with_relabelled(entries: list[Entry]) -> list[Entry]:
    return [*entries, *relabelled(entries)]


def faults(fates: Iterable[Fate]) -> list[Fate]:
    """The wrong and unproven results."""
    return [fate for fate in fates if fate.kind in ("wrong", "unproven")]


def main(folders: Iterable[str]) -> int:
    """Check all files, print a table for each source, return the exit code."""
    places = {"in pydicom's wheel": IN_THE_WHEEL, **{folder: Path(folder) for folder in folders}}
    sources = {"generated": [*generated(), *by_dcmtk()]}
    sources |= {name: _with_relabelled(files_under(place)) for name, place in places.items()}
    wrong = 0
    for name, entries in sources.items():
        fates = judge(entries)
        wrong += len(faults(fates))
        print(f"{name}\n{table(fates)}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    with catch_warnings():
        simplefilter("ignore")
        sys.exit(main(sys.argv[1:]))
