"""Renders single slices of jobs with preprocess, within limits of their own, so that readers and predictions share."""

import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from prometheus_client import CollectorRegistry, Histogram

from services.common.clients import Client
from services.common.schemas import Evidence, SliceReference
from services.common.sop_instances import files_sharing_instances
from services.common.tensors import Message
from services.gateway.jobs.attachments import read_report
from services.gateway.jobs.job import Job
from services.gateway.jobs.schemas import StoredFile
from services.gateway.series_grouping import read_headers
from services.gateway.settings import Settings
from services.gateway.shares.admission import Admission
from services.gateway.shares.fair_limiter import FairLimiter
from services.gateway.slices.problems import (
    AmbiguousSlice,
    NoHounsfieldUnits,
    SliceUnavailable,
    no_files,
    unreadable,
)
from services.gateway.slices.source_slices import SourceSlices, Stack, slices_by_header, slices_by_name
from services.gateway.stages.network_requests import WorkTimes
from services.gateway.stages.preprocess_requests import first_bytes, headers_request, slab_tensor, slices_request
from services.gateway.stages.preprocess_responses import headers_report
from services.gateway.stages.stage_client import StageClient
from services.gateway.stages.stage_problems import StageFault
from services.gateway.stages.stage_response import malformed
from services.gateway.uploads.duplicate_files import find_duplicates, with_upload_numbers
from services.gateway.uploads.spool import UploadedFile
from services.gateway.uploads.upload_check import single_series
from services.gateway.uploads.upload_problems import UnsupportedFile, UnusableUpload, bad_file

_CACHED_SLICES: Final = 20_000  # of all series; a series beyond it is kept until the next one
_REPORTS_AT_ONCE: Final = 2  # a report of 50,000 pictures takes 200 MB while it is read
_QUEUED: Final = 32  # slices that may wait for each that is rendered
_HEADERS_COST: Final = 4  # of the headers of a series, in slices
_HU: Final = "hu"
_PICTURES: Final = "pictures"
SeriesKey = tuple[str, int]


class SliceRenderer:
    """Renders slices of jobs, on request."""

    def __init__(self, preprocess: StageClient, settings: Settings, registry: CollectorRegistry) -> None:
        self._preprocess = preprocess
        self._settings = settings
        self._limiter = FairLimiter(settings.slices_rendered_at_once)
        self._admission = Admission(settings.slices_rendered_at_once * _QUEUED)
        self._reading = CapacityLimiter(_REPORTS_AT_ONCE)
        self._series: OrderedDict[SeriesKey, SourceSlices] = OrderedDict()
        self._seconds = Histogram(
            "ich_slice_render_seconds",
            "Rendering of single slices for readers, with the time of waiting",
            ["kind"],
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=registry,
        )

    async def hounsfield_units(self, job: Job, number: int, index: int, client: Client) -> bytes:
        """A slice as 16-bit greyscale PNG.

        Raises
        ------
        NotFound
            one of `problems.py` says why there is none
        SliceUnavailable
            preprocess cannot render it now
        Overloaded
            the client's share of waiting slices is used up
        """
        series = await self._source_slices(job, number, client)
        item = series.item(index)
        if not series.has_hu:
            raise NoHounsfieldUnits("the slice is an uploaded PNG of three windows: its picture is all there is")
        return await self._render(job, series, [item], _HU, client)

    async def picture(self, job: Job, number: int, index: int, client: Client) -> bytes:
        """The three windows of a slice, or of its slab, as PNG; raises as `hounsfield_units`."""
        series = await self._source_slices(job, number, client)
        return await self._render(job, series, series.slab(index), _PICTURES, client)

    async def _source_slices(self, job: Job, number: int, client: Client) -> SourceSlices:
        """The slices of a series' report; reports never change, so they are cached."""
        key = job.key, number
        if key not in self._series:
            self._series[key] = await self._find(job, number, client)
            self._series.move_to_end(key)
            while len(self._series) > 1 and sum(len(found.items) for found in self._series.values()) > _CACHED_SLICES:
                self._series.popitem(last=False)
        self._series.move_to_end(key)
        return self._series[key]

    async def _find(self, job: Job, number: int, client: Client) -> SourceSlices:
        report, files, found = await to_thread.run_sync(_read_report, job, number, limiter=self._reading)
        if found is None:
            async with self._turn(_HEADERS_COST, client), local_files(job, files) as local:
                return await self._by_header(report, files, local)
        large = found.large_files
        if not large:
            return found
        async with self._turn(_HEADERS_COST, client), local_files(job, [files[number] for number in large]) as local:
            return found.with_stacks(large, await self._stacks(local))

    async def _stacks(self, files: Sequence[UploadedFile]) -> list[Stack]:
        """How files can be sent in part: compressed ones must be sent whole to find their frames, once."""
        headers = await read_headers(self._preprocess, files, self._settings, WorkTimes())
        found: list[Stack] = [stack for series in headers.series for stack in series.stacks]
        native = {stack.file for stack in found}
        for number in set(range(len(files))) - native:
            message = Message(headers_request([files[number]], [first_bytes(files[number], files[number].size)]))
            report = headers_report(await self._preprocess.infer("series", message), 1)
            found += [
                stack.model_copy(update={"file": number}) for series in report.series for stack in series.encapsulated
            ]
        return found

    @asynccontextmanager
    async def _turn(self, cost: int, client: Client) -> AsyncIterator[None]:
        """A turn of the client, for so many slices; a fault of the stage becomes SliceUnavailable."""
        with self._admission.reserve(client) as reservation:
            reservation.update(cost)
            async with self._limiter.acquire(cost, client):
                try:
                    yield
                except StageFault as fault:
                    raise SliceUnavailable(
                        f"{fault.detail}; try again later", cause=fault.code, **fault.extra
                    ) from fault

    async def _by_header(
        self, report: dict[str, Any], files: Sequence[StoredFile], local: Sequence[UploadedFile]
    ) -> SourceSlices:
        """As the pipeline found them: duplicates are left out first."""
        try:
            header = single_series(local, await read_headers(self._preprocess, local, self._settings, WorkTimes()))
            if shared := files_sharing_instances(header):
                duplicates = await to_thread.run_sync(find_duplicates, local, shared)
                kept = [number for number in range(len(local)) if number not in duplicates]
                rest = [local[number] for number in kept]
                header = single_series(rest, await read_headers(self._preprocess, rest, self._settings, WorkTimes()))
                header = with_upload_numbers(header, kept)
        except (UnusableUpload, UnsupportedFile) as error:
            raise AmbiguousSlice(f"the headers cannot be read again: {error.detail}") from error
        return slices_by_header(report, files, header)

    async def _render(
        self, job: Job, series: SourceSlices, items: Sequence[SliceReference], kind: str, client: Client
    ) -> bytes:
        begin = time.perf_counter()
        async with self._turn(sum(item.cost for item in items), client):
            picture = await self._request(job, series, items, kind)
        self._seconds.labels(kind).observe(time.perf_counter() - begin)
        return picture

    async def _request(self, job: Job, series: SourceSlices, items: Sequence[SliceReference], kind: str) -> bytes:
        used = sorted({item.file for item in items})
        local_of = {number: index for index, number in enumerate(used)}
        own = [item.model_copy(update={"file": local_of[item.file]}) for item in items]
        stacks = [
            stack.model_copy(update={"file": local_of[stack.file]}) for stack in series.stacks if stack.file in local_of
        ]
        async with local_files(job, [series.files[number] for number in used]) as local:
            tensors = [*slices_request(local, own, stacks)]
            tensors += [slab_tensor([range(len(own))])] if len(own) > 1 else []
            message = Message(tuple(tensors), {kind: True}, requested_outputs=(kind, "evidence"))
            try:
                response = await self._preprocess.infer("slices", message)
            except FileNotFoundError:
                raise no_files() from None
        for item, seen in zip(own, response.documents("evidence", len(own), Evidence), strict=True):
            if seen.failed:
                raise unreadable(bad_file(local[item.file].name, seen.failed))
        (picture,) = response.elements(kind, 1)
        if not picture:
            raise malformed(response.stage, f"{kind!r} is empty")
        return bytes(picture)


@asynccontextmanager
async def local_files(job: Job, files: Sequence[StoredFile]) -> AsyncIterator[list[UploadedFile]]:
    """Local copies of files for the time of the context; NoSourceFiles where they were removed."""
    context = job.local_files(files)
    try:
        local = await to_thread.run_sync(context.__enter__)
    except FileNotFoundError:
        raise no_files() from None
    try:
        if not all(file.path.exists() for file in local):
            raise no_files()
        yield local
    finally:
        await to_thread.run_sync(context.__exit__, None, None, None)


def _read_report(job: Job, number: int) -> tuple[dict[str, Any], list[StoredFile], SourceSlices | None]:
    """A report, the files of its series, and its slices, unless names leave a doubt."""
    report = json.loads(read_report(job, number))
    files = job.stored_files(job.planned_series(number).files)
    return report, files, slices_by_name(report, files)
