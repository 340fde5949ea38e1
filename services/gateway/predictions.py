"""Synchronous requests: receive, assess, report."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request

from services.common.client_disconnect import cancel_on_disconnect
from services.common.clients import Client
from services.common.operating_points import OperatingPoint
from services.common.problems import BadRequest
from services.common.report_schemas import Report, Timings
from services.common.request_body import content_length
from services.common.timestamps import utc_now
from services.gateway.bundle import Bundles, ServedBundle
from services.gateway.pipeline import Pipeline
from services.gateway.report import ReportIdentity, ReportOptions, build_report, with_data, with_geometry
from services.gateway.settings import Settings
from services.gateway.shares.admission import Reservation
from services.gateway.shares.upload_shares import Uploads
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.spool import Spool, UploadedFile


class UnknownOperatingPoint(BadRequest):
    code = "unknown_operating_point"
    title = "The served bundle has no such operating point"


class PredictionService:
    """Answers synchronous requests.

    Parameters
    ----------
    count : gets each report
    """

    def __init__(
        self,
        spool: Spool,
        uploads: Uploads,
        pipeline: Pipeline,
        bundles: Bundles,
        settings: Settings,
        count: Callable[[Report], None] = lambda _: None,
    ) -> None:
        self._spool = spool
        self._uploads = uploads
        self._pipeline = pipeline
        self.bundles = bundles
        self.settings = settings
        self._count = count

    async def predict(
        self, request: Request, client: Client, options: ReportOptions, operating_point: OperatingPoint | None
    ) -> Report:
        """Receive the upload of a client's request, assess it, and return its report."""
        begin = time.perf_counter()
        admission = self._pipeline.admission
        with self._uploads.begin(client) as upload, admission.reserve(client, content_length(request)) as reservation:
            point = check_operating_point(operating_point or self.settings.operating_point, await self.bundles.served())
            async with self._spool.folder() as folder:
                files = await upload.receive(request, folder, self._limits(), reservation.received)
                uploaded = time.perf_counter()
                report = await cancel_on_disconnect(request, self._report(files, reservation, options, point))
        self._count(report)
        timings = report.timings_ms.model_copy(
            update={"upload": _milliseconds(uploaded - begin), "total": _milliseconds(time.perf_counter() - begin)}
        )
        return report.model_copy(update={"timings_ms": timings})

    async def _report(
        self, files: Sequence[UploadedFile], reservation: Reservation, options: ReportOptions, point: OperatingPoint
    ) -> Report:
        assessment = await self._pipeline.assess_upload(
            files, reservation, pictures=options.images, blood=options.blood
        )
        bundle = await self.bundles.served(assessment.scores.card_sha256 if assessment.scores else None)
        report = build_report(
            assessment,
            [file.name for file in files],
            bundle,
            identity=ReportIdentity(uuid.uuid4().hex, utc_now()),
            operating_point=check_operating_point(point, bundle),
            timings=report_timings(assessment.work_ms, upload_s=0.0, total_s=0.0),
        )
        report = with_geometry(report, assessment.header) if options.geometry else report
        pictures: Mapping[int, bytes] = {}
        if options.key_images and not options.images:
            pictures = await self._pipeline.make_pictures(files, assessment, report.key_slices, reservation)
        return with_data(report, pictures, assessment.blood)

    def _limits(self) -> Limits:
        settings = self.settings
        return Limits(settings.max_upload_bytes, settings.max_files, settings.max_unpacked_ratio)


def check_operating_point(point: OperatingPoint, bundle: ServedBundle) -> OperatingPoint:
    """The operating point; UnknownOperatingPoint where the bundle lacks it."""
    if point not in bundle.card.thresholds:
        raise UnknownOperatingPoint(f"the served bundle has the operating points {', '.join(bundle.card.thresholds)}")
    return point


def report_timings(work_ms: Mapping[str, float], *, upload_s: float, total_s: float) -> Timings:
    """The timings of a report, in milliseconds with three decimals."""
    rounded = {stage: round(ms, 3) for stage, ms in work_ms.items()}
    return Timings(upload=_milliseconds(upload_s), total=_milliseconds(total_s), **rounded)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1e3, 3)
