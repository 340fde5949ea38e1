"""The folder of one assessment, from which a child process builds the result objects.

context.json             AssessmentContext
report.json              the report of the gateway, or in its place a report that is not assessed
blood.bin                blood map by the report's member `blood`, which is null where there is none
key_images/<index>.png   (512, 512, 3) picture of a key slice
objects/index.json       ObjectIndex, with its files beside it; the folder appears in one step, complete
objects/sr-1.dcm         <kind>-<number>.dcm, or .json for FHIR
"""

from datetime import datetime
from pathlib import Path
from typing import Final, Self

from services.common.durable_files import write_file
from services.common.schemas import Frozen
from services.dicom_node.kinds import Kind

OBJECTS: Final = "objects"


class SliceSource(Frozen):
    """The instance, and the frame from 0 of a multi-frame instance, of one row of `report.slices`.

    path : below the data folder of the node
    """

    path: str
    sop_instance_uid: str
    sop_class_uid: str
    frame: int | None = None


class ObjectReference(Frozen):
    """A stored SOP instance, such as the SR of an earlier assessment."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


class ResultSettings(Frozen):
    """Settings of the node that builders need.

    device_serial_number : names the node in its objects, such as the node's id in the registry
    first_series_number : SeriesNumber of the first kind; the others follow
    memory_bytes : limit of the building process' address space
    """

    device_serial_number: str = "1"
    first_series_number: int = 9001
    memory_bytes: int = 4 * 1024**3


class AssessmentContext(Frozen):
    """`context.json`: what the builders need beside the report. It is written once, so building can be repeated.

    seed : names the assessment of this node; UIDs of result objects derive from it
    number : of the assessment of this series, from 1; a later one replaces the earlier ones
    created : when the series was complete
    kinds : to build, in this order
    header : path of the first instance, whose patient and study modules are copied
    instances : paths of all received instances of the series
    slices : in the order of `report.slices`; empty where the report has none
    key_images : indices of the pictures in `key_images`
    warnings : of the node, such as a series that timed out before it was complete
    """

    seed: str
    number: int
    created: datetime
    kinds: tuple[Kind, ...]
    header: str
    instances: tuple[str, ...]
    slices: tuple[SliceSource, ...] = ()
    key_images: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    predecessor: ObjectReference | None = None
    settings: ResultSettings = ResultSettings()


class BuiltObject(Frozen):
    """One file in `objects`. FHIR has its id as `sop_instance_uid`, and no SOP class and series."""

    kind: Kind
    file: str
    sop_class_uid: str = ""
    sop_instance_uid: str
    series_instance_uid: str = ""


class FailedKind(Frozen):
    """A kind that could not be built; `code` is the name of the error's class, never its message."""

    kind: Kind
    code: str


class OmittedKind(Frozen):
    """A kind that has nothing to show, such as key objects of a series without a key slice; no failure."""

    kind: Kind
    reason: str


class ObjectIndex(Frozen):
    """`objects/index.json`: what was built."""

    objects: tuple[BuiltObject, ...]
    failed: tuple[FailedKind, ...] = ()
    omitted: tuple[OmittedKind, ...] = ()


class AssessmentFolder:
    """Paths in the folder `<data folder>/assessments/<id>`, and its JSON files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.context_file = path / "context.json"
        self.report_file = path / "report.json"
        self.blood_file = path / "blood.bin"
        self.objects = path / OBJECTS
        self.index_file = self.objects / "index.json"

    @classmethod
    def of(cls, data_dir: Path, assessment: int) -> Self:
        """The folder of the assessment with this id."""
        return cls(data_dir / "assessments" / str(assessment))

    @property
    def data_dir(self) -> Path:
        """The data folder of the node: paths in the context are below it."""
        return self.path.parent.parent

    def key_image(self, index: int) -> Path:
        """The picture of a key slice."""
        return self.path / "key_images" / f"{index}.png"

    def read_context(self) -> AssessmentContext:
        return AssessmentContext.model_validate_json(self.context_file.read_bytes())

    def write_context(self, context: AssessmentContext) -> None:
        write_file(self.context_file, context.model_dump_json().encode())

    def read_index(self) -> ObjectIndex:
        return ObjectIndex.model_validate_json(self.index_file.read_bytes())
