"""Routes of pulls: `/v1/pull`."""

from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Path, Response

from services.common.identity.authentication import authenticate, requires
from services.common.identity.principal import Principal
from services.common.problem_schemas import openapi_problem
from services.common.problems import NotFound, Overloaded
from services.dicom_node.pull.puller import Puller
from services.dicom_node.pull.schemas import (
    PullDocument,
    PulledSeries,
    PullRequest,
    PullStatus,
    SeriesPullStatus,
)
from services.dicom_node.registry.pulls import Pull, TooManyPulls

Caller = Annotated[Principal, Depends(authenticate)]


class UnknownPeer(NotFound):
    code = "unknown_peer"
    title = "No peer of this name is configured"


class UnknownPull(NotFound):
    code = "unknown_pull"
    title = "There is no such pull"


_NO_PEER: Final = UnknownPeer("'archive' is no peer that series can be pulled from; configured are: pacs, research")
_NO_PULL: Final = UnknownPull("no pull of yours has this id; ended ones are kept for 7 days")
_FULL: Final = Overloaded("1000 pulls are unfinished; ask again when some have ended", retry_after_s=60)
_CREATE: Final[dict[int | str, dict[str, Any]]] = {404: openapi_problem(_NO_PEER), 503: openapi_problem(_FULL)}
_GET: Final[dict[int | str, dict[str, Any]]] = {404: openapi_problem(_NO_PULL)}


def pull_router(puller: Puller, max_pulls: int) -> APIRouter:
    """The routes of pulls. `add_identity` of the application finds the senders.

    Parameters
    ----------
    max_pulls : largest number of unfinished pulls
    """
    router = APIRouter(prefix="/v1/pull", tags=["pull"])

    def create_pull(request: PullRequest, caller: Caller, response: Response) -> PullDocument:
        """The request is stored durably before the response. Repeating an unfinished one gives the same pull."""
        if request.from_ not in puller.peers:
            names = ", ".join(puller.peers) or "none (ICH_NODE_PEERS_FILE)"
            raise UnknownPeer(
                f"{request.from_!r} is no peer that series can be pulled from; configured are: {names}",
                peers=list(puller.peers),
            )
        series = request.series_instance_uid or ""
        try:
            pull = puller.pulls.create(caller.id, request.from_, request.study_instance_uid, series, max_pulls)
        except TooManyPulls:
            message = f"{max_pulls} pulls are unfinished; ask again when some have ended"
            raise Overloaded(message, retry_after_s=60) from None
        puller.wake(pull.peer)
        response.headers["location"] = f"/v1/pull/{pull.id}"
        return _document(puller, pull)

    def get_pull(identifier: Annotated[str, Path(alias="id", max_length=64)], caller: Caller) -> PullDocument:
        """Series that were found, passed over, retrieved or failed, and the number of their instances."""
        pull = puller.pulls.find(caller.id, identifier)
        if pull is None:
            raise UnknownPull("no pull of yours has this id; ended ones are kept for 7 days")
        return _document(puller, pull)

    router.add_api_route(
        "",
        create_pull,
        methods=["POST"],
        operation_id="create_pull",
        dependencies=[requires("submit")],
        summary="Pull a study, or one series, from a configured peer",
        status_code=202,
        responses=_CREATE,
    )
    router.add_api_route(
        "/{id}",
        get_pull,
        operation_id="get_pull",
        dependencies=[requires("read")],
        summary="State and progress of a pull",
        responses=_GET,
    )
    return router


def _document(puller: Puller, pull: Pull) -> PullDocument:
    return PullDocument(
        id=pull.id,
        from_=pull.peer,
        study_instance_uid=pull.study_uid,
        series_instance_uid=pull.series_uid or None,
        status=cast("PullStatus", pull.status),
        attempts=pull.attempts,
        code=pull.code,
        created_at=pull.created_at,
        updated_at=pull.updated_at,
        series=tuple(
            PulledSeries(
                series_instance_uid=one.series_uid,
                status=cast("SeriesPullStatus", one.status),
                instances=one.instances,
                received=one.received,
                reasons=one.reasons,
                code=one.code,
            )
            for one in puller.pulls.series(pull)
        ),
    )
