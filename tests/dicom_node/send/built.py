"""A registry with a built assessment, whose objects are small DICOM files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from services.common.timestamps import utc_now
from services.dicom_node.kinds import Kind
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.delivery_steps import Destination, plan_deliveries

SOP_CLASSES: Final[Mapping[Kind, str]] = {
    "sr": Comprehensive3DSRStorage,
    "text_sr": BasicTextSRStorage,
    "secondary_capture": SecondaryCaptureImageStorage,
    "segmentation": SegmentationStorage,
    "key_objects": KeyObjectSelectionDocumentStorage,
    "parametric_map": ParametricMapStorage,
}
DICOM_KINDS: Final = tuple(SOP_CLASSES)


class BuiltRegistry:
    """A registry in a folder, and the objects that were built."""

    def __init__(self, folder: Path, database: Database | None = None) -> None:
        self.folder = folder
        self.database = database or Database(folder / "registry.sqlite")

    def enlarge(self, size: int) -> None:
        """Append a private element of this size to each object."""
        element = b"\xe1\x7f\x10\x10UN\0\0" + size.to_bytes(4, "little")
        for path in self.folder.glob("assessments/*.dcm"):
            with path.open("ab") as file:
                file.write(element + bytes(size))

    def add(self, kinds: Sequence[Kind], destinations: Mapping[str, Destination], number: int = 1) -> list[str]:
        """Build an assessment, and plan its deliveries; the SOP instance UIDs of its objects."""
        uids, study, series_uid = [], generate_uid(), generate_uid()
        with self.database.write() as connection:
            series = connection.execute(
                "INSERT INTO series (study_uid, series_uid) VALUES (?, ?) RETURNING id",
                (study, generate_uid()),
            ).fetchone()["id"]
            assessment = connection.execute(
                "INSERT INTO assessments (series, number, last_instance, step, created_at, step_at) "
                "VALUES (?, ?, 0, 'built', ?, ?) RETURNING id",
                (series, number, utc_now(), utc_now()),
            ).fetchone()["id"]
            for kind in kinds:
                uid = str(generate_uid())
                path = self._write(kind, (study, series_uid, uid), f"{assessment}-{kind}")
                connection.execute(
                    "INSERT INTO objects (assessment, kind, sop_class_uid, sop_instance_uid, series_uid, path) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (assessment, kind, SOP_CLASSES.get(kind, ""), uid, series_uid, path),
                )
                uids.append(uid)
            plan_deliveries(connection, assessment, destinations)
        return uids

    def steps(self, destination: str) -> list[str]:
        """The steps of all deliveries to a destination."""
        with self.database.read() as connection:
            rows = connection.execute(
                "SELECT step FROM deliveries WHERE destination = ? ORDER BY id", (destination,)
            ).fetchall()
        return [row["step"] for row in rows]

    def codes(self, destination: str) -> list[str | None]:
        """The error codes of all deliveries to a destination."""
        with self.database.read() as connection:
            rows = connection.execute(
                "SELECT error_code FROM deliveries WHERE destination = ? ORDER BY id", (destination,)
            ).fetchall()
        return [row["error_code"] for row in rows]

    def assessment_steps(self) -> list[str]:
        with self.database.read() as connection:
            return [row["step"] for row in connection.execute("SELECT step FROM assessments ORDER BY id")]

    def _write(self, kind: Kind, uids: tuple[str, str, str], name: str) -> str:
        path = Path("assessments") / (f"{name}.json" if kind == "fhir" else f"{name}.dcm")
        (self.folder / path).parent.mkdir(exist_ok=True)
        if kind == "fhir":
            (self.folder / path).write_text('{"resourceType": "Bundle", "type": "transaction", "entry": []}')
        else:
            write_object(self.folder / path, SOP_CLASSES[kind], *uids)
        return str(path)


def write_object(path: Path, sop_class_uid: str, study_uid: str, series_uid: str, sop_instance_uid: str) -> None:
    """Write a small DICOM file of this class."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class_uid), UID(sop_instance_uid)
    content = Dataset()
    content.SOPClassUID, content.SOPInstanceUID = sop_class_uid, sop_instance_uid
    content.StudyInstanceUID, content.SeriesInstanceUID = study_uid, series_uid
    content.PatientID, content.Modality = "phantom", "SR"
    content.TextValue = "text " * 201
    FileDataset(path, content, file_meta=meta, preamble=b"\0" * 128).save_as(path, enforce_file_format=True)
