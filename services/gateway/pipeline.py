"""The one way that data goes: headers, then chunks of slices through preprocess and cnn, then rnn.

Slices, features and pictures pass as bytes; only scores are opened. A series of any length takes the memory of a few
chunks. Waiting calls and batch jobs run this very code.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from anyio import to_thread
from pydantic import ValidationError

from services.common.acceptance import is_refused, pixel_reasons
from services.common.file_codes import UNUSABLE_FILES
from services.common.problems import BadRequest
from services.common.schemas import Evidence, HeadersReport, Reason, SeriesHeader, SetAsideFile
from services.common.slabs import SlabPlan, plan_series
from services.common.sop_instances import files_sharing_instances
from services.common.tensors import FilePart, Message, Tensor, bytes_elements, bytes_tensor
from services.gateway.admission import Admission, Limiter, Reservation
from services.gateway.bundle import Bundles
from services.gateway.duplicate_files import Duplicates, duplicate_notes, find_duplicates, with_upload_numbers
from services.gateway.preprocess_requests import first_bytes, headers_request, slab_tensor, slices_request
from services.gateway.scoring import Features, Scores, WorkTimes, run_all, score_independent_slices, score_series
from services.gateway.settings import Settings
from services.gateway.severities import apply_severities, read_severities
from services.gateway.spool import UploadedFile
from services.gateway.stage_client import BundleMismatch, StageFailed, Stages
from services.gateway.upload_check import (
    check_decoded,
    check_report,
    left_out_files,
    set_aside_notes,
    single_series,
    unusable_files,
)

T = TypeVar("T")

SeriesKey = tuple[str | None, str | None]  # UIDs of study and series; (None, None) for pictures
_FILES_A_GROUPING: Final = 256
_ROOMY_SLICE_BYTES: Final = 2 * 1024**2  # a chunk's worth of larger files is likely to be one of many frames
_LONG_HEAD_BYTES: Final = 4 * 1024**2  # the functional groups of 2,000 frames


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the chain found out about one series.

    `scores.slices`, `pictures` and `slabs` have a row for each slice of the header: where slices were averaged, that of
    its slab and the slab's number from 0. `slabs` is None where nothing was averaged, `pictures` empty unless wanted.
    """

    header: SeriesHeader
    reasons: tuple[Reason, ...]
    scores: Scores | None
    pictures: tuple[bytes, ...]
    work_ms: Mapping[str, float]
    evidence: tuple[Evidence, ...] = ()
    slabs: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What became of some slices: evidence of each, and a row of everything else for each that the networks see."""

    evidence: tuple[Evidence, ...]
    features: Tensor | None
    pictures: tuple[bytes, ...]
    card_sha256: str


@dataclass(frozen=True, slots=True)
class _Upload:
    """What one assessment is of, the room it has, and what its work adds up to."""

    files: Sequence[UploadedFile]
    pictures: bool
    reservation: Reservation
    work: WorkTimes


@dataclass(slots=True)
class SeriesFiles:
    """The files of one series, counted from 0 in the order sent, and how many slices they hold."""

    files: list[int] = field(default_factory=list)
    slices: int = 0

    def add(self, start: int, series: SeriesHeader) -> None:
        """Take what was found of the series in files from `start` on."""
        self.files += sorted({start + item.file for item in series.items})
        self.slices += len(series.items)


class Pipeline:
    """Chains the stages; one for the whole process, so that the slices in flight are bounded over all requests.

    `bundles` says which spacings the served networks learnt from.
    """

    def __init__(self, stages: Stages, settings: Settings, bundles: Bundles) -> None:
        self._stages = stages
        self._bundles = bundles
        self._settings = settings
        self.admission = Admission(settings.max_slices_in_flight)
        self._limiter = Limiter(settings.slices_at_once)
        self._severities = read_severities(settings.acceptance_file)

    async def assess_upload(
        self, files: Sequence[UploadedFile], reservation: Reservation, *, pictures: bool = False
    ) -> Assessment:
        """Assess files that must be one series (or pictures sent alone), with a reservation of `admission`.

        Raises
        ------
        UnusableUpload, UnsupportedFile
            the files are not one readable series.
        StageFault
            a stage failed, or was slow.
        Overloaded
            too many slices are in hand.
        """
        upload = _Upload(files, pictures, reservation, WorkTimes())
        try:
            return await self._assess_files(upload)
        except (BadRequest, ValidationError, IndexError) as error:
            raise StageFailed("the answer of a stage lacks what was asked for") from error

    async def group_series(
        self, files: Sequence[UploadedFile]
    ) -> tuple[dict[SeriesKey, SeriesFiles], list[SetAsideFile]]:
        """Which series files belong to, and those that belong to none, with the reason; the system's last.

        A corrupt file stays with its series, where the header tells which that is: without it, a bleeding could hide.

        Raises
        ------
        StageFault
            preprocess failed, or was slow.
        """
        groups: defaultdict[SeriesKey, SeriesFiles] = defaultdict(SeriesFiles)
        aside: list[SetAsideFile] = []
        try:
            for start in range(0, len(files), _FILES_A_GROUPING):
                report = await self._read_headers(files[start : start + _FILES_A_GROUPING], WorkTimes())
                aside += [item.model_copy(update={"file": start + item.file}) for item in report.set_aside]
                for series in report.series:
                    groups[series.study_uid, series.uid].add(start, series)
        except (BadRequest, ValidationError, IndexError) as error:
            raise StageFailed("the answer of a stage lacks what was asked for") from error
        left_out = [item for item in aside if not _kept(groups, item)]
        return dict(groups), left_out_files(files, left_out)

    async def _assess_files(self, upload: _Upload, said: tuple[Reason, ...] = ()) -> Assessment:
        report, chunk = await self._open(upload)
        header = single_series(upload.files, report)
        if shared := files_sharing_instances(header):
            copies = await to_thread.run_sync(find_duplicates, upload.files, shared)
            return await self._assess_without(upload, copies)
        return await self._assess(upload, header, (*said, *set_aside_notes(upload.files, report)), chunk)

    async def _assess_without(self, upload: _Upload, copies: Duplicates) -> Assessment:
        """Assess an upload as if copies had not been sent: the reasons in its headers would count them, too."""
        kept = [number for number in range(len(upload.files)) if number not in copies]
        rest = replace(upload, files=[upload.files[number] for number in kept])
        assessment = await self._assess_files(rest, duplicate_notes(upload.files, copies))
        return replace(assessment, header=with_upload_numbers(assessment.header, kept))

    async def _open(self, upload: _Upload) -> tuple[HeadersReport, _Chunk | None]:
        """The headers; and, where all files fit one chunk, that chunk's way through the chain in the same call."""
        files, most = upload.files, self._settings.chunk_slices
        if len(files) > most or sum(file.size for file in files) > most * _ROOMY_SLICE_BYTES:
            return await self._read_headers(files, upload.work), None
        upload.reservation.update(len(files))
        async with self._limiter.acquire(len(files)):
            return await self._open_one_chunk(upload)

    async def _open_one_chunk(self, upload: _Upload) -> tuple[HeadersReport, _Chunk | None]:
        files = upload.files
        parts = [FilePart(file.path, file.size) for file in files]
        message = await self._preprocess([bytes_tensor("files", parts)], upload)
        report = check_report(files, _report(message))
        whole = len(report.series) == 1 and _rows(message) == len(report.series[0].items)
        whole = whole and not files_sharing_instances(report.series[0])
        usable = whole and not unusable_files(files, report) and not self._refused(report.series[0].reasons)
        thin = usable and (await self._plan(report.series[0])).averaged
        return report, await self._extract(message, upload.work) if usable and not thin else None

    async def _read_headers(self, files: Sequence[UploadedFile], work: WorkTimes) -> HeadersReport:
        """Headers from the heads of the files; longer heads, then whole files, where a head was not enough."""
        heads = [first_bytes(file, self._settings.head_bytes) for file in files]
        report = await self._ask_headers(files, heads, work)
        for most_bytes in (_LONG_HEAD_BYTES, self._settings.max_job_bytes):
            if not report.incomplete:
                break
            for number in report.incomplete:
                heads[number] = first_bytes(files[number], most_bytes)
            report = await self._ask_headers(files, heads, work)
        return check_report(files, report)

    async def _ask_headers(
        self, files: Sequence[UploadedFile], heads: Sequence[FilePart], work: WorkTimes
    ) -> HeadersReport:
        request = Message(headers_request(files, heads))
        return _report(work.add("preprocess", await self._stages.preprocess.infer("series", request)))

    async def _assess(
        self, upload: _Upload, header: SeriesHeader, said: tuple[Reason, ...], chunk: _Chunk | None
    ) -> Assessment:
        plan = await self._plan(header)
        reasons = header.reasons + said + plan.reasons
        chunks: list[_Chunk] = [chunk] if chunk else []
        if not chunks and not self._refused(reasons):
            chunks = await self._work_through(upload, header, plan)
        reasons += (plan.note,) if plan.note and chunks else ()
        evidence = [item for each in chunks for item in each.evidence]
        check_decoded(upload.files, header.items, evidence)
        reasons += tuple(pixel_reasons(evidence, headwards=header.uid is not None)) if evidence else ()
        reasons = apply_severities(reasons, self._severities)
        scores = None if is_refused(reasons) else await self._score(header, plan, chunks, upload.work)
        shown = _by_slice([picture for each in chunks for picture in each.pictures], plan)
        slabs = plan.row_of if plan.averaged and chunks else None
        return Assessment(header, reasons, scores, shown, upload.work.ms, tuple(evidence), slabs)

    async def _plan(self, header: SeriesHeader, card_sha256: str | None = None) -> SlabPlan:
        """Which slices the networks see as one, by the served bundle's card, or by the card of that hash."""
        served = await self._bundles.served(card_sha256)
        return plan_series(header, served.card, average=self._settings.average_thin_slices)

    def _refused(self, reasons: Iterable[Reason]) -> bool:
        return is_refused(apply_severities(reasons, self._severities))

    async def _work_through(self, upload: _Upload, header: SeriesHeader, plan: SlabPlan) -> list[_Chunk]:
        """All chunks, cut between slabs: what the networks see does not depend on where."""
        upload.reservation.update(len(header.items))
        parts = plan.chunks(self._settings.chunk_slices)
        return await run_all(self._one_chunk(upload, header, part, averaged=plan.averaged) for part in parts)

    async def _one_chunk(
        self, upload: _Upload, header: SeriesHeader, part: Sequence[range], *, averaged: bool
    ) -> _Chunk:
        items = header.items[part[0].start : part[-1].stop]
        request = slices_request(upload.files, items, header.stacks)
        async with self._limiter.acquire(len(items)):
            message = await self._preprocess([*request, *([slab_tensor(part)] if averaged else [])], upload)
            if (_rows(message), message.tensor("evidence", "BYTES").shape) != (len(part), (len(items),)):
                raise StageFailed("preprocess answered another number of slices", stage="preprocess")
            return await self._extract(message, upload.work)

    async def _preprocess(self, tensors: Sequence[Tensor], upload: _Upload) -> Message:
        message = Message(tuple(tensors), {"pictures": upload.pictures})
        return upload.work.add("preprocess", await self._stages.preprocess.infer("slices", message))

    async def _extract(self, made: Message, work: WorkTimes) -> _Chunk:
        """Features of slices that preprocess made; none where one of them could not be decoded."""
        evidence = tuple(
            Evidence.model_validate_json(bytes(item)) for item in bytes_elements(made.tensor("evidence", "BYTES"))
        )
        shown = made.find("pictures")
        pictures = tuple(bytes(picture) for picture in bytes_elements(shown)) if shown else ()
        if any(item.failed for item in evidence):
            return _Chunk(evidence, None, pictures, "")
        request = Message((made.tensor("slices", "UINT8"),), {"recipe": str(made.parameters.get("recipe", ""))})
        answer = work.add("cnn", await self._stages.cnn.infer("cnn", request))
        features = answer.tensor("features", "FP32")
        if features.shape[:1] != (_rows(made),):
            raise StageFailed("cnn answered another number of slices", stage="cnn")
        return _Chunk(evidence, features, pictures, str(answer.parameters.get("card_sha256", "")))

    async def _score(self, header: SeriesHeader, plan: SlabPlan, chunks: Sequence[_Chunk], work: WorkTimes) -> Scores:
        card_sha256, *others = {chunk.card_sha256 for chunk in chunks}
        if others:
            raise BundleMismatch("the bundle was changed in the middle of the request; send it again", stage="cnn")
        features = Features.joined([chunk.features for chunk in chunks if chunk.features], card_sha256)
        if header.uid is None and len(header.items) > 1:
            return await score_independent_slices(self._stages.rnn, features, work)
        scores = await score_series(self._stages.rnn, features, plan.positions_mm(header.position_mm), work)
        if await self._plan(header, scores.card_sha256) != plan:
            raise BundleMismatch("the served bundle learnt from other spacings than the one before; send it again")
        return replace(scores, slices=_by_slice(scores.slices, plan))


def _kept(groups: Mapping[SeriesKey, SeriesFiles], item: SetAsideFile) -> bool:
    """Put a corrupt file to the slices of its series, if there are any."""
    found = groups.get((item.study_uid, item.uid))
    if found is None or item.uid is None or item.code not in UNUSABLE_FILES:
        return False
    found.files.append(item.file)
    return True


def _by_slice(rows: Sequence[T], plan: SlabPlan) -> tuple[T, ...]:
    """For each slice its row's value; nothing of nothing."""
    return tuple(rows[row] for row in plan.row_of) if rows else ()


def _report(message: Message) -> HeadersReport:
    (document,) = bytes_elements(message.tensor("report", "BYTES"))
    return HeadersReport.model_validate_json(bytes(document))


def _rows(message: Message) -> int:
    return message.tensor("slices", "UINT8").shape[0]
