"""Routes of one series for viewers: its report, and pictures of its slices."""

from functools import partial
from typing import Annotated, Final

from anyio import to_thread
from fastapi import Depends, FastAPI, Path, Request, Response

from services.common.client_disconnect import cancel_on_disconnect
from services.common.clients import Client
from services.common.identity.authentication import identify, requires
from services.common.report_schemas import Report
from services.gateway.jobs.api import ReadableJob, SeriesNumber, streamed_file
from services.gateway.jobs.attachments import open_picture, read_report
from services.gateway.jobs.report_formats import JSON
from services.gateway.jobs.schemas import FailedReport
from services.gateway.slices import responses
from services.gateway.slices.rendering import SliceRenderer

PNG: Final = "image/png"
_MAX_INDEX: Final = 2**31 - 1


def slice_renderer(request: Request) -> SliceRenderer:
    """The application's SliceRenderer, as a dependency."""
    renderer: SliceRenderer = request.app.state.slice_renderer
    return renderer


Renderer = Annotated[SliceRenderer, Depends(slice_renderer)]
SliceIndex = Annotated[int, Path(ge=0, le=_MAX_INDEX, description="`index` of the slice in the report, from 0")]
Reader = Annotated[Client, Depends(identify)]


def get_report(job: ReadableJob, number: SeriesNumber) -> Response:
    """As in the list of reports."""
    return Response(read_report(job, number), media_type=JSON)


async def get_slice(
    *, request: Request, job: ReadableJob, number: SeriesNumber, index: SliceIndex, renderer: Renderer, reader: Reader
) -> Response:
    """Native resolution, in patient orientation as `geometry` says; of the source slice where slices were averaged."""
    work = renderer.hounsfield_units(job, number, index, reader)
    return Response(await cancel_on_disconnect(request, work), media_type=PNG)


async def get_image(
    *, request: Request, job: ReadableJob, number: SeriesNumber, index: SliceIndex, renderer: Renderer, reader: Reader
) -> Response:
    """The three windows as channels, 512 x 512. An averaged slice has the picture of its slab."""
    if kept := await to_thread.run_sync(open_picture, job, number, index):
        return streamed_file(kept, PNG)
    work = renderer.picture(job, number, index, reader)
    return Response(await cancel_on_disconnect(request, work), media_type=PNG)


def add_slice_routes(app: FastAPI, renderer: SliceRenderer) -> None:
    """Serve single reports and slices, after the routes of jobs."""
    app.state.slice_renderer = renderer
    add = partial(app.add_api_route, tags=["jobs"])
    add(
        "/v1/jobs/{job_id}/series/{number}/report",
        get_report,
        operation_id="get_report",
        dependencies=[requires("read")],
        summary="The report of a series",
        response_model=Report | FailedReport,
        responses=responses.GET_REPORT,
    )
    add(
        "/v1/jobs/{job_id}/series/{number}/slices/{index}",
        get_slice,
        operation_id="get_slice",
        dependencies=[requires("read")],
        summary="Hounsfield units of a slice: 16-bit greyscale PNG, value = HU + 32768",
        response_class=Response,
        responses=responses.GET_SLICE,
    )
    add(
        "/v1/jobs/{job_id}/series/{number}/slices/{index}/image",
        get_image,
        operation_id="get_image",
        dependencies=[requires("read")],
        summary="The picture of a slice in the recipe's three windows",
        response_class=Response,
        responses=responses.GET_IMAGE,
    )
