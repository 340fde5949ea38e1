"""Chunks of slices through preprocess and cnn. Slices, features and pictures pass as bytes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from services.common.file_codes import TOO_SLOW
from services.common.schemas import Evidence, SeriesHeader
from services.common.slabs import SlabPlan
from services.common.tensors import Message, Tensor
from services.gateway.settings import Settings
from services.gateway.shares.admission import Reservation
from services.gateway.shares.fair_limiter import FairLimiter
from services.gateway.stages.network_requests import (
    BloodRows,
    Features,
    WorkTimes,
    blood_row_bytes,
    extract_features,
    run_all,
)
from services.gateway.stages.preprocess_requests import shared_slices, slab_tensor, slices_request
from services.gateway.stages.preprocess_responses import PreprocessedSlices, preprocessed_slices
from services.gateway.stages.region_pool import Lease
from services.gateway.stages.stage_client import Stages
from services.gateway.stages.stage_response import StageResponse
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_check import check_cost, check_decoded


@dataclass(frozen=True, slots=True)
class Chunk:
    """Evidence of some slices, and their pictures and features by row; no features where a slice was not decoded."""

    evidence: tuple[Evidence, ...]
    pictures: tuple[bytes, ...]
    features: Features | None
    blood: BloodRows | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """The files of one request, and what it asks for.

    blood_grid : of the map that the bundle has, where `blood` is requested; None where it has none or takes too much
    """

    files: Sequence[UploadedFile]
    pictures: bool
    reservation: Reservation
    work: WorkTimes
    blood: bool = False
    blood_grid: tuple[int, int] | None = None


class ChunkProcessor:
    """Sends chunks to the stages, within the slices that a process may have in progress.

    limiter : bounds the slices in progress over all requests of the process
    """

    def __init__(self, stages: Stages, settings: Settings, limiter: FairLimiter) -> None:
        self._stages = stages
        self._settings = settings
        self._limiter = limiter

    async def process_all(self, upload: Upload, header: SeriesHeader, plan: SlabPlan) -> list[Chunk]:
        """All chunks. They are cut between slabs, so that the slabs do not depend on the chunks."""
        check_cost(header, self._settings.max_decoding_cost)
        upload.reservation.update(header.cost)
        parts = plan.chunks(self._settings.chunk_slices, [item.cost for item in header.items])
        upload = self._within_memory(upload, len(plan.rows))
        return await run_all(self._process(upload, header, part, averaged=plan.averaged) for part in parts)

    async def _process(self, upload: Upload, header: SeriesHeader, part: Sequence[range], *, averaged: bool) -> Chunk:
        async with self.make_rows(upload, header, part, averaged=averaged) as (made, lease):
            if any(item.failed == TOO_SLOW for item in made.evidence):
                items = header.items[part[0].start : part[-1].stop]
                check_decoded(upload.files, items, made.evidence)  # ends the other chunks
            return await self._extract(made, upload, lease)

    @asynccontextmanager
    async def make_rows(
        self, upload: Upload, header: SeriesHeader, part: Sequence[range], *, averaged: bool
    ) -> AsyncIterator[tuple[PreprocessedSlices, Lease]]:
        """Preprocess neighbouring rows, whose pixels may lie in the region of the lease until the context ends."""
        items = header.items[part[0].start : part[-1].stop]
        request = [*slices_request(upload.files, items, header.stacks), *([slab_tensor(part)] if averaged else [])]
        async with self._limiter.acquire(sum(item.cost for item in items), upload.reservation.client):
            with self._stages.preprocess.lease() as lease:
                response = await self.preprocess(request, len(part), upload, lease)
                pictures = upload.pictures
                yield preprocessed_slices(response, slices=len(items), rows=len(part), pictures=pictures), lease

    async def preprocess(self, tensors: Sequence[Tensor], rows: int, upload: Upload, lease: Lease) -> StageResponse:
        """Request slices, at most `rows`."""
        message = Message(tuple(tensors), {"pictures": upload.pictures, "midlines": upload.blood_grid is not None})
        output = shared_slices(rows)
        return upload.work.add(await self._stages.preprocess.infer("slices", message, lease, output))

    async def extract_whole(self, made: PreprocessedSlices, upload: Upload, lease: Lease) -> Chunk:
        """The only chunk of an upload."""
        return await self._extract(made, self._within_memory(upload, made.slices.shape[0]), lease)

    async def _extract(self, made: PreprocessedSlices, upload: Upload, lease: Lease) -> Chunk:
        if not made.decoded:
            return Chunk(made.evidence, made.pictures, None)
        cnn, work = self._stages.cnn, upload.work
        features, blood = await extract_features(cnn, made, work, lease, upload.blood_grid)
        return Chunk(made.evidence, made.pictures, features, blood)

    def _within_memory(self, upload: Upload, rows: int) -> Upload:
        """The upload, without its blood map where so many rows of it exceed the settings' limit."""
        grid = upload.blood_grid
        fits = grid and rows * blood_row_bytes(grid) <= self._settings.max_blood_bytes
        return replace(upload, blood_grid=grid if fits else None)


def joined_blood(chunks: Sequence[Chunk]) -> BloodRows | None:
    """The blood map of all chunks; None where one has none."""
    found = [chunk.blood for chunk in chunks if chunk.blood]
    return BloodRows.concatenate(found) if found and len(found) == len(chunks) else None
