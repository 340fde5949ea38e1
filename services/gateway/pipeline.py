"""The assessment of one series: headers, chunks of slices through preprocess and cnn, then rnn.

Slices, features and pictures pass as bytes. A series of any length takes the memory of a few chunks. Synchronous
requests and jobs share this code path.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from anyio import to_thread

from services.common.acceptance import is_refused, make_reason, pixel_reasons
from services.common.file_codes import TOO_SLOW
from services.common.schemas import Evidence, HeadersReport, Reason, SeriesHeader
from services.common.slabs import SlabPlan, plan_series
from services.common.sop_instances import files_sharing_instances
from services.common.tensors import FilePart, Message, Tensor, bytes_tensor
from services.gateway.assessment import Assessment
from services.gateway.bundle import Bundles
from services.gateway.series_grouping import read_headers
from services.gateway.settings import Settings
from services.gateway.severities import Severities, apply_severities
from services.gateway.shares.admission import Admission, Reservation
from services.gateway.shares.fair_limiter import FairLimiter
from services.gateway.stages.network_requests import (
    BloodRows,
    Features,
    Scores,
    WorkTimes,
    blood_row_bytes,
    extract_features,
    run_all,
    score_independent_slices,
    score_series,
)
from services.gateway.stages.preprocess_requests import shared_slices, slab_tensor, slices_request
from services.gateway.stages.preprocess_responses import (
    PreprocessedSlices,
    check_complete,
    headers_report,
    preprocessed_slices,
    slice_rows,
)
from services.gateway.stages.region_pool import Lease
from services.gateway.stages.stage_client import Stages
from services.gateway.stages.stage_problems import BundleMismatch
from services.gateway.stages.stage_response import StageResponse
from services.gateway.uploads.duplicate_files import Duplicates, duplicate_notes, find_duplicates, with_upload_numbers
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_check import (
    check_cost,
    check_decoded,
    mark_system_files,
    set_aside_notes,
    single_series,
    unusable_files,
)

T = TypeVar("T")

_BLOOD_TOO_LARGE: Final = "it would take more than ICH_GATEWAY_MAX_BLOOD_BYTES"
_LARGE_FILE_BYTES: Final = 2 * 1024**2  # files of this average size are likely to have many frames


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Evidence of some slices, and their pictures and features by row; no features where a slice was not decoded."""

    evidence: tuple[Evidence, ...]
    pictures: tuple[bytes, ...]
    features: Features | None
    blood: BloodRows | None = None


@dataclass(frozen=True, slots=True)
class _Upload:
    """`blood_grid` is that of the bundle's map, where a map is requested; None where it has none or takes too much."""

    files: Sequence[UploadedFile]
    pictures: bool
    reservation: Reservation
    work: WorkTimes
    blood: bool = False
    blood_grid: tuple[int, int] | None = None


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
        return await self._assess_files(_Upload(files, pictures, reservation, WorkTimes(), blood, grid))

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
        upload = _Upload(files, pictures=True, reservation=reservation, work=WorkTimes())
        return {index: await self._make_picture(upload, assessment, index) for index in indices}

    async def _make_picture(self, upload: _Upload, assessment: Assessment, index: int) -> bytes:
        header, row, averaged = assessment.header, assessment.row(index), assessment.slabs is not None
        async with self._make_rows(upload, header, [row], averaged=averaged) as (made, _):
            check_decoded(upload.files, header.items[row.start : row.stop], made.evidence)
            return made.pictures[0]

    async def _assess_files(self, upload: _Upload, notes: tuple[Reason, ...] = ()) -> Assessment:
        report, chunk = await self._open(upload)
        header = single_series(upload.files, report)
        if shared := files_sharing_instances(header):
            duplicates = await to_thread.run_sync(find_duplicates, upload.files, shared)
            return await self._assess_without(upload, duplicates)
        return await self._assess(upload, header, (*notes, *set_aside_notes(upload.files, report)), chunk)

    async def _assess_without(self, upload: _Upload, duplicates: Duplicates) -> Assessment:
        """Assess an upload without its duplicates, which the reasons of the headers would count."""
        kept = [number for number in range(len(upload.files)) if number not in duplicates]
        rest = replace(upload, files=[upload.files[number] for number in kept])
        assessment = await self._assess_files(rest, duplicate_notes(upload.files, duplicates))
        return replace(assessment, header=with_upload_numbers(assessment.header, kept))

    async def _open(self, upload: _Upload) -> tuple[HeadersReport, _Chunk | None]:
        """Read the headers; where all files fit one chunk, process that in the same request to preprocess."""
        files, max_files = upload.files, self._settings.chunk_slices
        if len(files) > max_files or sum(file.size for file in files) > max_files * _LARGE_FILE_BYTES:
            async with self._limiter.acquire(max_files, upload.reservation.client):
                return await read_headers(self._stages.preprocess, files, self._settings, upload.work), None
        upload.reservation.update(len(files))
        async with self._limiter.acquire(len(files), upload.reservation.client):
            with self._stages.preprocess.lease() as lease:
                return await self._open_one_chunk(upload, lease)

    async def _open_one_chunk(self, upload: _Upload, lease: Lease) -> tuple[HeadersReport, _Chunk | None]:
        files = upload.files
        parts = [FilePart(file.path, file.size) for file in files]
        response = await self._preprocess([bytes_tensor("files", parts)], len(files), upload, lease)
        report = headers_report(response, len(files))
        check_complete(report, len(files))
        report = mark_system_files(files, report)
        if not await self._is_usable(files, report, slice_rows(response)):
            return report, None
        slices = len(report.series[0].items)
        made = preprocessed_slices(response, slices=slices, rows=slices, pictures=upload.pictures)
        return report, await self._extract(made, self._within_memory(upload, slices), lease)

    async def _is_usable(self, files: Sequence[UploadedFile], report: HeadersReport, rows: int) -> bool:
        """Whether the rows are one whole series that nothing refuses so far and that is not averaged."""
        if len(report.series) != 1 or rows != len(report.series[0].items) or unusable_files(files, report):
            return False
        header = report.series[0]
        if files_sharing_instances(header) or self._refused(header.reasons):
            return False
        return not (await self._plan(header)).averaged

    async def _assess(
        self, upload: _Upload, header: SeriesHeader, notes: tuple[Reason, ...], chunk: _Chunk | None
    ) -> Assessment:
        plan = await self._plan(header)
        reasons = header.reasons + notes + plan.reasons
        chunks: list[_Chunk] = [chunk] if chunk else []
        if not chunks and not self._refused(reasons):
            chunks = await self._process_chunks(upload, header, plan)
        reasons += (plan.note,) if plan.note and chunks else ()
        evidence = [item for each in chunks for item in each.evidence]
        if chunks:
            check_decoded(upload.files, header.items, evidence)
            reasons += tuple(pixel_reasons(evidence, headwards=header.uid is not None))
        blood = _joined_blood(chunks)
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

    async def _process_chunks(self, upload: _Upload, header: SeriesHeader, plan: SlabPlan) -> list[_Chunk]:
        """All chunks. They are cut between slabs, so that the slabs do not depend on the chunks."""
        check_cost(header, self._settings.max_decoding_cost)
        upload.reservation.update(header.cost)
        parts = plan.chunks(self._settings.chunk_slices, [item.cost for item in header.items])
        upload = self._within_memory(upload, len(plan.rows))
        return await run_all(self._process_chunk(upload, header, part, averaged=plan.averaged) for part in parts)

    def _within_memory(self, upload: _Upload, rows: int) -> _Upload:
        """The upload, without its blood map where so many rows of it exceed the settings' limit."""
        grid = upload.blood_grid
        fits = grid and rows * blood_row_bytes(grid) <= self._settings.max_blood_bytes
        return replace(upload, blood_grid=grid if fits else None)

    async def _process_chunk(
        self, upload: _Upload, header: SeriesHeader, part: Sequence[range], *, averaged: bool
    ) -> _Chunk:
        async with self._make_rows(upload, header, part, averaged=averaged) as (made, lease):
            if any(item.failed == TOO_SLOW for item in made.evidence):
                items = header.items[part[0].start : part[-1].stop]
                check_decoded(upload.files, items, made.evidence)  # ends the other chunks
            return await self._extract(made, upload, lease)

    @asynccontextmanager
    async def _make_rows(
        self, upload: _Upload, header: SeriesHeader, part: Sequence[range], *, averaged: bool
    ) -> AsyncIterator[tuple[PreprocessedSlices, Lease]]:
        """Preprocess neighbouring rows, whose pixels may lie in the region of the lease until the context ends."""
        items = header.items[part[0].start : part[-1].stop]
        request = [*slices_request(upload.files, items, header.stacks), *([slab_tensor(part)] if averaged else [])]
        async with self._limiter.acquire(sum(item.cost for item in items), upload.reservation.client):
            with self._stages.preprocess.lease() as lease:
                response = await self._preprocess(request, len(part), upload, lease)
                pictures = upload.pictures
                yield preprocessed_slices(response, slices=len(items), rows=len(part), pictures=pictures), lease

    async def _preprocess(self, tensors: Sequence[Tensor], rows: int, upload: _Upload, lease: Lease) -> StageResponse:
        message = Message(tuple(tensors), {"pictures": upload.pictures})
        output = shared_slices(rows)
        return upload.work.add(await self._stages.preprocess.infer("slices", message, lease, output))

    async def _extract(self, made: PreprocessedSlices, upload: _Upload, lease: Lease) -> _Chunk:
        if not made.decoded:
            return _Chunk(made.evidence, made.pictures, None)
        cnn, work = self._stages.cnn, upload.work
        features, blood = await extract_features(cnn, made, work, lease, upload.blood_grid)
        return _Chunk(made.evidence, made.pictures, features, blood)

    async def _score(self, header: SeriesHeader, plan: SlabPlan, chunks: Sequence[_Chunk], upload: _Upload) -> Scores:
        work, turn = upload.work, partial(self._limiter.acquire, 1, upload.reservation.client)
        features = Features.concatenate([chunk.features for chunk in chunks if chunk.features])
        if header.uid is None and len(header.items) > 1:
            return await score_independent_slices(self._stages.rnn, features, work, turn)
        async with turn():
            scores = await score_series(self._stages.rnn, features, plan.positions_mm(header.position_mm), work)
        if await self._plan(header, scores.card_sha256) != plan:
            raise BundleMismatch("the new bundle's training data have another slice spacing; send the request again")
        return replace(scores, slices=_by_slice(scores.slices, plan))


def _joined_blood(chunks: Sequence[_Chunk]) -> BloodRows | None:
    """The blood map of all chunks; None where one has none."""
    found = [chunk.blood for chunk in chunks if chunk.blood]
    return BloodRows.concatenate(found) if found and len(found) == len(chunks) else None


def _by_slice(rows: Sequence[T], plan: SlabPlan) -> tuple[T, ...]:
    """The value of each slice's row; nothing where there are no rows."""
    return tuple(rows[row] for row in plan.row_of) if rows else ()
