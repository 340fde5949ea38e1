"""Reads the headers of an upload with preprocess, and groups the files of a job by series."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.common.file_codes import UNUSABLE_FILES
from services.common.schemas import HeadersReport, SeriesHeader, SetAsideFile
from services.common.series_description import SeriesDescription
from services.common.tensors import FilePart, Message
from services.gateway.settings import Settings
from services.gateway.stages.network_requests import WorkTimes
from services.gateway.stages.preprocess_requests import first_bytes, headers_request
from services.gateway.stages.preprocess_responses import check_complete, headers_report
from services.gateway.stages.stage_client import StageClient
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_check import left_out_files, mark_system_files

SeriesKey = tuple[str | None, str | None]  # UIDs of study and series; (None, None) for PNG slices
_FILES_PER_REQUEST: Final = 256
_LONG_HEADER_BYTES: Final = 4 * 1024**2  # the functional groups of 2,000 frames


@dataclass(slots=True)
class SeriesFiles:
    """The files of one series by their index in the upload, the number of slices in them, and texts about it.

    patients : digests of the patients in its headers, which should be one
    """

    files: list[int] = field(default_factory=list)
    slices: int = 0
    description: SeriesDescription | None = None
    patients: set[str] = field(default_factory=set)

    def add(self, start: int, series: SeriesHeader) -> None:
        """Add the part of the series in files from `start` on."""
        self.files += sorted({start + item.file for item in series.items})
        self.slices += len(series.items)
        self.description = self.description or series.description
        self.patients |= {series.patient_digest} if series.patient_digest else set()

    @property
    def patient_digest(self) -> str | None:
        """The digest of its patient; None for none, and for several."""
        return next(iter(self.patients)) if len(self.patients) == 1 else None


async def read_headers(
    preprocess: StageClient, files: Sequence[UploadedFile], settings: Settings, work: WorkTimes
) -> HeadersReport:
    """Read headers from the first bytes of the files; send more of a file, then all of it, where they were too few.

    Raises
    ------
    StageFault
        preprocess gave no usable response
    """
    heads: dict[int, FilePart] = {}
    requested: Sequence[int] = range(len(files))
    for max_bytes in (settings.head_bytes, _LONG_HEADER_BYTES, settings.max_job_bytes):
        heads |= {number: first_bytes(files[number], max_bytes) for number in requested}
        message = Message(headers_request(files, list(heads.values())))
        with preprocess.lease() as lease:
            report = headers_report(work.add(await preprocess.infer("series", message, lease)), len(files))
        requested = report.incomplete
        if not requested:
            break
    check_complete(report, len(files))
    return mark_system_files(files, report)


async def group_series(
    preprocess: StageClient, files: Sequence[UploadedFile], settings: Settings
) -> tuple[dict[SeriesKey, SeriesFiles], list[SetAsideFile]]:
    """The files of each series, and the files of no series with the reason; the operating system's files last.

    A corrupt file stays with its series where its header names one: without it, the series could hide a haemorrhage.

    Raises
    ------
    StageFault
        preprocess gave no usable response
    """
    groups: defaultdict[SeriesKey, SeriesFiles] = defaultdict(SeriesFiles)
    aside: list[SetAsideFile] = []
    for start in range(0, len(files), _FILES_PER_REQUEST):
        report = await read_headers(preprocess, files[start : start + _FILES_PER_REQUEST], settings, WorkTimes())
        aside += [item.model_copy(update={"file": start + item.file}) for item in report.set_aside]
        for series in report.series:
            groups[series.study_uid, series.uid].add(start, series)
    left_out = [item for item in aside if not _add_to_series(groups, item)]
    return dict(groups), left_out_files(files, left_out)


def _add_to_series(groups: Mapping[SeriesKey, SeriesFiles], item: SetAsideFile) -> bool:
    """Add a corrupt file to its series, if slices of that were found."""
    found = groups.get((item.study_uid, item.uid))
    if found is None or item.uid is None or item.code not in UNUSABLE_FILES:
        return False
    found.files.append(item.file)
    return True
