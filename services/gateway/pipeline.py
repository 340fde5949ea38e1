"""The assessment of one series: headers, chunks of slices through preprocess and cnn, then rnn.

Slices, features and pictures pass as bytes. A series of any length takes the memory of a few chunks. Synchronous
requests and jobs share this code path.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from anyio import to_thread

from services.common.acceptance import is_refused, make_reason, pixel_reasons
from services.common.schemas import HeadersReport, Reason, SeriesHeader
from services.common.slabs import SlabPlan, plan_series
from services.common.sop_instances import files_sharing_instances
from services.common.tensors import FilePart, bytes_tensor
from services.gateway.assessment import Assessment
from services.gateway.bundle import Bundles
from services.gateway.chunks import Chunk, ChunkProcessor, Upload, joined_blood
from services.gateway.series_grouping import read_headers
from services.gateway.settings import Settings
from services.gateway.severities import Severities, apply_severities
from services.gateway.shares.admission import Admission, Reservation
from services.gateway.shares.fair_limiter import FairLimiter
from services.gateway.stages.network_requests import (
    Features,
    Scores,
    WorkTimes,
    score_independent_slices,
    score_series,
)
from services.gateway.stages.preprocess_responses import (
    check_complete,
    headers_report,
    preprocessed_slices,
    slice_rows,
)
from services.gateway.stages.region_pool import Lease
from services.gateway.stages.stage_client import Stages
from services.gateway.stages.stage_problems import BundleMismatch
from services.gateway.uploads.duplicate_files import Duplicates, duplicate_notes, find_duplicates, with_upload_numbers
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_check import (
    check_decoded,
    mark_system_files,
    set_aside_notes,
    single_series,
    unusable_files,
)

T = TypeVar("T")

_BLOOD_TOO_LARGE: Final = "it would take more than ICH_GATEWAY_MAX_BLOOD_BYTES"
_LARGE_FILE_BYTES: Final = 2 * 1024**2  # files of this average size are likely to have many frames


class Pipeline:
    """Chains the stages; one for each process, so that it bounds the slices in progress over all requests.

    bundles : the served bundle, whose card has the slice spacing of the training data
    """

    def __init__(self, stages: Stages, settings: Settings, bundles: Bundles, severities: Severities) -> None:
        self._stages = stages
        self._bundles = bundles
        self._settings = settings
        self._severities = severities
        self._limiter = FairLimiter(settings.slices_at_once)
        self._chunks = ChunkProcessor(stages, settings, self._limiter)
        self.admission = Admission(settings.max_slices_in_flight)

    async def assess_upload(
        self,
        files: Sequence[UploadedFile],
        reservation: Reservation,
        *,
        pictures: bool = False,
        blood: bool = False,
    ) -> Assessment:
        """Assess the files of one series, or independent PNG slices, with a reservation of `admission`.

        Parameters
        ----------
        pictures : also give each slice's picture
        blood : also give the blood map

        Raises
        ------
        UnusableUpload, UnsupportedFile
            the files are not one readable series
        TooCostly
            the series takes too long to decode
        StageFault
            a stage gave no usable response
        Overloaded
            too many slices are in progress
        """
        grid = (await self._bundles.renewed()).card.blood_grid if blood else None
        return await self._assess_files(Upload(files, pictures, reservation, WorkTimes(), blood, grid))

    async def make_pictures(
        self, files: Sequence[UploadedFile], assessment: Assessment, indices: Iterable[int], reservation: Reservation
    ) -> dict[int, bytes]:
        """Pictures of some slices of an assessment, as PNG; an averaged slice has that of its slab.

        Each is decoded again, so that an assessment keeps no pictures of other slices in memory.

        Parameters
        ----------
        files : as assessed
        indices : of slices, from 0

        Raises
        ------
        StageFault
            preprocess gave no usable response
        """
        upload = Upload(files, pictures=True, reservation=reservation, work=WorkTimes())
        return {index: await self._make_picture(upload, assessment, index) for index in indices}

    async def _make_picture(self, upload: Upload, assessment: Assessment, index: int) -> bytes:
        header, row, averaged = assessment.header, assessment.row(index), assessment.slabs is not None
        async with self._chunks.make_rows(upload, header, [row], averaged=averaged) as (made, _):
            check_decoded(upload.files, header.items[row.start : row.stop], made.evidence)
            return made.pictures[0]

    async def _assess_files(self, upload: Upload, notes: tuple[Reason, ...] = ()) -> Assessment:
        report, chunk = await self._open(upload)
        header = single_series(upload.files, report)
        if shared := files_sharing_instances(header):
            duplicates = await to_thread.run_sync(find_duplicates, upload.files, shared)
            return await self._assess_without(upload, duplicates)
        return await self._assess(upload, header, (*notes, *set_aside_notes(upload.files, report)), chunk)

    async def _assess_without(self, upload: Upload, duplicates: Duplicates) -> Assessment:
        """Assess an upload without its duplicates, which the reasons of the headers would count."""
        kept = [number for number in range(len(upload.files)) if number not in duplicates]
        rest = replace(upload, files=[upload.files[number] for number in kept])
        assessment = await self._assess_files(rest, duplicate_notes(upload.files, duplicates))
        return replace(assessment, header=with_upload_numbers(assessment.header, kept))

    async def _open(self, upload: Upload) -> tuple[HeadersReport, Chunk | None]:
        """Read the headers; where all files fit one chunk, process that in the same request to preprocess."""
        files, max_files = upload.files, self._settings.chunk_slices
        if len(files) > max_files or sum(file.size for file in files) > max_files * _LARGE_FILE_BYTES:
            async with self._limiter.acquire(max_files, upload.reservation.client):
                return await read_headers(self._stages.preprocess, files, self._settings, upload.work), None
        upload.reservation.update(len(files))
        async with self._limiter.acquire(len(files), upload.reservation.client):
            with self._stages.preprocess.lease() as lease:
                return await self._open_one_chunk(upload, lease)

    async def _open_one_chunk(self, upload: Upload, lease: Lease) -> tuple[HeadersReport, Chunk | None]:
        files = upload.files
        parts = [FilePart(file.path, file.size) for file in files]
        response = await self._chunks.preprocess([bytes_tensor("files", parts)], len(files), upload, lease)
        report = headers_report(response, len(files))
        check_complete(report, len(files))
        report = mark_system_files(files, report)
        if not await self._is_usable(files, report, slice_rows(response)):
            return report, None
        slices = len(report.series[0].items)
        made = preprocessed_slices(response, slices=slices, rows=slices, pictures=upload.pictures)
        return report, await self._chunks.extract_whole(made, upload, lease)

    async def _is_usable(self, files: Sequence[UploadedFile], report: HeadersReport, rows: int) -> bool:
        """Whether the rows are one whole series that nothing refuses so far and that is not averaged."""
        if len(report.series) != 1 or rows != len(report.series[0].items) or unusable_files(files, report):
            return False
        header = report.series[0]
        if files_sharing_instances(header) or self._refused(header.reasons):
            return False
        return not (await self._plan(header)).averaged

    async def _assess(
        self, upload: Upload, header: SeriesHeader, notes: tuple[Reason, ...], chunk: Chunk | None
    ) -> Assessment:
        plan = await self._plan(header)
        reasons = header.reasons + notes + plan.reasons
        chunks: list[Chunk] = [chunk] if chunk else []
        if not chunks and not self._refused(reasons):
            chunks = await self._chunks.process_all(upload, header, plan)
        reasons += (plan.note,) if plan.note and chunks else ()
        evidence = [item for each in chunks for item in each.evidence]
        if chunks:
            check_decoded(upload.files, header.items, evidence)
            reasons += tuple(pixel_reasons(evidence, headwards=header.uid is not None))
        blood = joined_blood(chunks)
        if upload.blood and chunks and blood is None:
            why = _BLOOD_TOO_LARGE if upload.blood_grid else "the bundle has none"
            reasons += (make_reason("no_blood_map", why=why),)
        reasons = apply_severities(reasons, self._severities)
        scores = None if is_refused(reasons) else await self._score(header, plan, chunks, upload)
        pictures = _by_slice([picture for each in chunks for picture in each.pictures], plan)
        slabs = plan.row_of if plan.averaged and chunks else None
        return Assessment(
            header, reasons, scores, pictures, upload.work.ms, tuple(evidence), slabs, blood if scores else None
        )

    async def _plan(self, header: SeriesHeader, card_sha256: str | None = None) -> SlabPlan:
        """Plan slabs by the card of the served bundle; with `card_sha256`, by that card."""
        served = await self._bundles.served(card_sha256)
        return plan_series(header, served.card, average=self._settings.average_thin_slices)

    def _refused(self, reasons: Iterable[Reason]) -> bool:
        return is_refused(apply_severities(reasons, self._severities))

    async def _score(self, header: SeriesHeader, plan: SlabPlan, chunks: Sequence[Chunk], upload: Upload) -> Scores:
        work, turn = upload.work, partial(self._limiter.acquire, 1, upload.reservation.client)
        features = Features.concatenate([chunk.features for chunk in chunks if chunk.features])
        if header.uid is None and len(header.items) > 1:
            return await score_independent_slices(self._stages.rnn, features, work, turn)
        async with turn():
            scores = await score_series(self._stages.rnn, features, plan.positions_mm(header.position_mm), work)
        if await self._plan(header, scores.card_sha256) != plan:
            raise BundleMismatch("the new bundle's training data have another slice spacing; send the request again")
        return replace(scores, slices=_by_slice(scores.slices, plan))


def _by_slice(rows: Sequence[T], plan: SlabPlan) -> tuple[T, ...]:
    """The value of each slice's row; nothing where there are no rows."""
    return tuple(rows[row] for row in plan.row_of) if rows else ()
