"""Synchronous requests: receive, assess, report."""

import time
import uuid
from collections.abc import Mapping

from starlette.requests import Request

from services.common.client_disconnect import cancel_on_disconnect
from services.common.operating_points import OperatingPoint
from services.common.problems import BadRequest
from services.common.report_schemas import Report, Timings
from services.common.timestamps import utc_now
from services.gateway.bundle import Bundles, ServedBundle
from services.gateway.pipeline import Pipeline
from services.gateway.report import ReportIdentity, build_report
from services.gateway.settings import Settings
from services.gateway.shares.fair_shares import Client
from services.gateway.shares.upload_shares import Uploads
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.receive import announced_bytes
from services.gateway.uploads.spool import Spool


class UnknownOperatingPoint(BadRequest):
    code = "unknown_operating_point"
    title = "The served bundle has no such operating point"


class PredictionService:
    """Answers synchronous requests."""

    def __init__(
        self, spool: Spool, uploads: Uploads, pipeline: Pipeline, bundles: Bundles, settings: Settings
    ) -> None:
        self._spool = spool
        self._uploads = uploads
        self._pipeline = pipeline
        self.bundles = bundles
        self.settings = settings

    async def predict(
        self, request: Request, client: Client, *, images: bool, operating_point: OperatingPoint | None
    ) -> Report:
        """Receive the upload of a client's request, assess it, and return its report."""
        begin = time.perf_counter()
        admission = self._pipeline.admission
        with self._uploads.begin(client) as upload, admission.reserve(client, announced_bytes(request)) as reservation:
            point = check_operating_point(operating_point or self.settings.operating_point, await self.bundles.served())
            async with self._spool.folder() as folder:
                files = await upload.receive(request, folder, self._limits(), reservation.received)
                uploaded = time.perf_counter()
                work = self._pipeline.assess_upload(files, reservation, pictures=images)
                assessment = await cancel_on_disconnect(request, work)
        bundle = await self.bundles.served(assessment.scores.card_sha256 if assessment.scores else None)
        return build_report(
            assessment,
            [file.name for file in files],
            bundle,
            identity=ReportIdentity(uuid.uuid4().hex, utc_now()),
            operating_point=check_operating_point(point, bundle),
            timings=report_timings(assessment.work_ms, upload_s=uploaded - begin, total_s=time.perf_counter() - begin),
        )

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
    return Timings(upload=round(upload_s * 1e3, 3), total=round(total_s * 1e3, 3), **rounded)
