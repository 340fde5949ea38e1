"""Failures of calls as problems: errors of the connection, and error responses of a stage or of a proxy before it."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

from services.common.retry_after import retry_after_s
from services.common.tensors import Buffer
from services.gateway.stages.stage_problems import (
    BundleMismatch,
    RecipeMismatch,
    RegionTooSmall,
    RegionUnknown,
    StageBusy,
    StageFailed,
    StageFault,
    StageTimeout,
)
from services.gateway.stages.stage_retries import Broken, Busy, Refused, Unanswered

_MAX_RETRY_AFTER_S: Final = 60.0
_MISMATCHES: Final[Mapping[str, type[StageFault]]] = {
    RecipeMismatch.code: RecipeMismatch,
    BundleMismatch.code: BundleMismatch,
}
_REGION_REFUSED: Final[Mapping[str, type[StageFault]]] = {
    "unknown_region": RegionUnknown,
    "region_too_small": RegionTooSmall,
}


@contextmanager
def transport_errors(stage: str) -> Iterator[None]:
    """Raise errors of the connection as Refused, Broken or StageTimeout."""
    unreachable = StageFailed(f"{stage} cannot be reached", stage=stage)
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise Refused(_timeout(stage)) from error
    except httpx.TimeoutException as error:
        raise _timeout(stage) from error
    except httpx.ConnectError as error:
        raise Refused(unreachable) from error
    except httpx.TransportError as error:
        raise Broken(unreachable) from error


def failure(stage: str, response: httpx.Response, body: Buffer) -> Unanswered | StageFault:
    """The failure that an error response states: Unanswered where another replica may answer."""
    status, code = response.status_code, str((json_object(body) or {}).get("code"))
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        return Busy(_busy(stage, response.headers.get("retry-after", "")))
    if status == httpx.codes.BAD_GATEWAY:  # of a proxy, whose connection to a replica broke
        return Broken(StageFailed(f"{stage} cannot be reached", stage=stage))
    if status == httpx.codes.GATEWAY_TIMEOUT:
        return _timeout(stage)
    if status == httpx.codes.CONFLICT and code in _MISMATCHES:
        return _MISMATCHES[code](str((json_object(body) or {}).get("detail")), stage=stage)
    if status == httpx.codes.BAD_REQUEST and code in _REGION_REFUSED:
        return _REGION_REFUSED[code](f"{stage} answered {status}", stage=stage)
    return StageFailed(f"{stage} answered {status}", stage=stage)


def json_object(body: Buffer) -> Mapping[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        document = json.loads(bytes(body))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _busy(stage: str, retry_after: str) -> StageBusy:
    """StageBusy with the time that the replica states, a minute at most."""
    busy = StageBusy(f"{stage} takes no more requests now", stage=stage)
    stated_s = retry_after_s(retry_after)
    if stated_s is not None:
        busy.retry_after_s = max(math.ceil(min(stated_s, _MAX_RETRY_AFTER_S)), 1)
    return busy


def _timeout(stage: str) -> StageTimeout:
    return StageTimeout(f"{stage} did not answer in time", stage=stage)
