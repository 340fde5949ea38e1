"""STOW-RS: stores the instances of a request (PS3.18 10.5)."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from python_multipart.multipart import parse_options_header

from services.common.byte_sizes import format_bytes
from services.common.clients import ANONYMOUS, Client
from services.common.content_coding import is_identity_coding
from services.common.identity.authentication import identify, requires
from services.common.multipart.body_writer import BodyWriter, body_pieces
from services.common.negotiation import best_match
from services.common.problems import ContentTooLarge, NotAcceptable, Overloaded, UnsupportedMediaType
from services.common.request_body import content_length
from services.dicom_node.inbox import Inbox, Transfer
from services.dicom_node.receive.fair_limit import FairLimit
from services.dicom_node.receive.statuses import OUT_OF_RESOURCES
from services.dicom_node.receive.stow_parts import DICOM, StowParts
from services.dicom_node.receive.stow_response import MEDIA_TYPES, StoreResult
from services.dicom_node.settings import Settings

_UID: Final = r"^[0-9.]{1,64}$"
_ALL, _SOME, _NONE, _NO_SPACE = 200, 202, 409, 507
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    _ALL: {"description": "All instances are stored."},
    _SOME: {"description": "Some instances are stored; FailedSOPSequence names the others."},
    _NONE: {"description": "No instance is stored; FailedSOPSequence gives the reasons."},
    _NO_SPACE: {"description": "No instance is stored: the quota or the disk is full."},
}


class StowReceiver:
    """Stores instances of STOW-RS requests.

    Attributes
    ----------
    instances : number of received instances by what became of them
    """

    def __init__(self, settings: Settings, inbox: Inbox) -> None:
        self.instances: Counter[str] = Counter()
        self._settings, self._inbox = settings, inbox
        self._requests = FairLimit(settings.max_stow_requests, settings.max_stow_requests_per_client)

    async def store(self, request: Request, client: Client, study_instance_uid: str | None) -> Response:
        """Store the parts of a request; a failed part does not stop the others.

        Raises
        ------
        NotAcceptable
            the client takes no representation of the response
        UnsupportedMediaType
            the body is no multipart/related of application/dicom
        BadRequest
            the body is malformed or has no part
        ContentTooLarge
            it has too many bytes, parts or headers; instances before the limit are stored
        Overloaded
            too many requests are being received
        """
        media_type = best_match(", ".join(request.headers.getlist("accept")), MEDIA_TYPES)
        if media_type is None:
            raise NotAcceptable(f"the response is {' or '.join(MEDIA_TYPES[:2])}; accept one of them")
        boundary = _boundary(request)
        self._check_size(content_length(request))
        with self._place(client):
            result = await self._receive(request, boundary, client, study_instance_uid)
        return Response(result.encoded(media_type), _status(result), media_type=media_type)

    @contextmanager
    def _place(self, client: Client) -> Iterator[None]:
        if not self._requests.take(client.share):
            raise Overloaded("too many STOW-RS requests are being received; send it again later", retry_after_s=5)
        try:
            yield
        finally:
            self._requests.give_back(client.share)

    async def _receive(self, request: Request, boundary: bytes, client: Client, study: str | None) -> StoreResult:
        peer = client.address if client.sender == ANONYMOUS else client.sender
        async with self._transfer(peer) as transfer:
            parts = StowParts(
                boundary,
                self._inbox,
                transfer,
                max_instances=self._settings.max_stow_instances,
                max_instance_bytes=self._settings.max_instance_bytes,
                study_instance_uid=study,
                instances=self.instances,
            )
            writer, received = BodyWriter(parts), 0
            try:
                async for piece in body_pieces(request):
                    received += len(piece)
                    self._check_size(received)
                    await writer.write(piece)
                await writer.flush()
                return parts.finish()
            finally:
                await writer.close()

    @asynccontextmanager
    async def _transfer(self, peer: str) -> AsyncIterator[Transfer]:
        """A transfer, which only a complete request ends as released."""
        transfer = await to_thread.run_sync(self._inbox.begin_transfer, "stow-rs", peer)
        try:
            yield transfer
        except BaseException:
            self._inbox.end_transfer(transfer, "aborted")  # in this thread: a cancelled task waits for no other
            raise
        await to_thread.run_sync(self._inbox.end_transfer, transfer, "released")

    def _check_size(self, size: int) -> None:
        most = self._settings.max_stow_bytes
        if size > most:
            raise ContentTooLarge(f"a request may have {format_bytes(most)}; send fewer instances", limit_bytes=most)


def stow_router(receiver: StowReceiver) -> APIRouter:
    """The routes of STOW-RS. `add_identity` of the application finds the senders."""
    router = APIRouter(prefix="/dicom-web", tags=["STOW-RS"])

    async def store(request: Request, client: Annotated[Client, Depends(identify)]) -> Response:
        """Store instances of any studies: multipart/related; type="application/dicom"."""
        return await receiver.store(request, client, None)

    async def store_in_study(
        request: Request,
        client: Annotated[Client, Depends(identify)],
        study_instance_uid: Annotated[str, Path(pattern=_UID)],
    ) -> Response:
        """Store instances of one study; those of another study fail."""
        return await receiver.store(request, client, study_instance_uid)

    for path, endpoint in (("/studies", store), ("/studies/{study_instance_uid}", store_in_study)):
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            dependencies=[requires("submit")],
            response_class=Response,
            responses=_RESPONSES,
        )
    return router


def _status(result: StoreResult) -> int:
    if not result.failed:
        return _ALL
    if result.stored:
        return _SOME
    return _NO_SPACE if all(each.reason == OUT_OF_RESOURCES for each in result.failed) else _NONE


def _boundary(request: Request) -> bytes:
    if not is_identity_coding(", ".join(request.headers.getlist("content-encoding"))):
        raise UnsupportedMediaType("the body has a content coding; send it without one")
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    is_dicom = options.get(b"type", DICOM).strip().lower() == DICOM
    if kind != b"multipart/related" or not is_dicom or not options.get(b"boundary"):
        raise UnsupportedMediaType('send multipart/related; type="application/dicom", with a boundary')
    return options[b"boundary"]
