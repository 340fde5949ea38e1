import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from services.common.clients import Client
from services.common.problems import Overloaded
from services.gateway.settings import Settings
from services.gateway.shares.upload_shares import TooManyUploads, UploadEnded, Uploads
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.spool import Spool, SpoolFolder, SpoolFull, UploadedFile

pytestmark = pytest.mark.anyio
ANN, BOB = Client("ann", "a"), Client("bob", "b")
LIMITS = Limits(1 << 30, 10, 100)
HEAD = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[SpoolFolder]:
    spool = Spool(tmp_path)
    spool.open()
    async with spool.folder() as opened:
        yield opened


def _request(*pieces: bytes, then: asyncio.Event | None = None) -> Request:
    """A multipart request of these pieces; before the last one the client waits for an event."""
    left = list(pieces)

    async def receive() -> Message:
        if then and len(left) == 1:
            await then.wait()
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def test_one_client_leaves_uploads_to_others() -> None:
    uploads = Uploads(Settings(max_uploads=9, max_uploads_per_client=8))
    with ExitStack() as held:
        for _ in range(6):
            held.enter_context(uploads.begin(ANN))
        with pytest.raises(TooManyUploads) as refused, uploads.begin(ANN):
            pass
        assert refused.value.headers() == {"retry-after": "5"}
        held.enter_context(uploads.begin(BOB))
    assert (uploads.count.used, uploads.bytes.used) == (0, 0)


def test_a_client_has_a_limit_of_its_own_and_all_have_one() -> None:
    uploads = Uploads(Settings(max_uploads=9, max_uploads_per_client=1))
    with ExitStack() as held:
        for number in range(3):
            held.enter_context(uploads.begin(Client(f"sender-{number}", "")))
        with pytest.raises(TooManyUploads), uploads.begin(Client("sender-0", "")):
            pass
    uploads = Uploads(Settings(max_uploads=0))
    with pytest.raises(Overloaded), uploads.begin(ANN):
        pass


def test_the_only_upload_of_a_client_never_waits_for_its_share() -> None:
    uploads = Uploads(Settings(max_uploads=3))
    with uploads.begin(ANN), uploads.begin(ANN), uploads.begin(BOB):
        assert uploads.count.used == 3
        with uploads.begin(Client("eve", "e")):
            assert (uploads.count.held(ANN), uploads.count.used) == (1, 3)
            with pytest.raises(Overloaded), uploads.begin(Client("joe", "j")):
                pass
    assert (uploads.count.used, uploads.receiving) == (0, set())


@pytest.mark.parametrize("addresses", [6, 60])
def test_many_addresses_that_hold_all_places_leave_one_to_a_newcomer(addresses: int) -> None:
    uploads = Uploads(Settings())
    with ExitStack() as held:
        for number in range(addresses * 70):
            with suppress(TooManyUploads, Overloaded):
                held.enter_context(uploads.begin(Client(f"sender-{number % addresses}", "")))
        with uploads.begin(ANN), uploads.begin(BOB):
            assert (uploads.count.held(ANN), uploads.count.held(BOB)) == (1, 1)


async def test_the_slowest_upload_of_the_largest_share_is_ended_for_a_newcomer(folder: SpoolFolder) -> None:
    now, go_on = [0.0], asyncio.Event()
    uploads = Uploads(Settings(max_uploads=3), lambda: now[0])
    tasks = list[asyncio.Task[list[UploadedFile]]]()

    async def send(client: Client, size: int, seen: list[int]) -> list[UploadedFile]:
        with uploads.begin(client) as upload:
            request = _request(HEAD + bytes(size), b"\r\n--b--\r\n", then=go_on)
            return await upload.receive(request, folder, LIMITS, seen.append)

    for client, size in ((ANN, 2000), (ANN, 1000), (BOB, 1)):
        seen = list[int]()
        tasks.append(asyncio.create_task(send(client, size, seen)))
        while not seen:  # noqa: ASYNC110 - the callback is called from the same loop
            await asyncio.sleep(0)
    now[0] = 60.0
    with uploads.begin(Client("eve", "e")):
        with pytest.raises(UploadEnded) as ended:
            await tasks[1]
        assert ended.value.headers() == {"retry-after": "5"}
        go_on.set()
        assert [len(await task) for task in tasks[::2]] == [1, 1]
    assert (uploads.count.used, uploads.bytes.used) == (0, 0)


async def test_bytes_are_held_until_the_end_and_the_place_until_all_is_received(folder: SpoolFolder) -> None:
    uploads, seen, go_on = Uploads(Settings()), list[int](), asyncio.Event()
    with uploads.begin(ANN) as upload:
        request = _request(HEAD + bytes(1000), bytes(2000), b"\r\n--b--\r\n", then=go_on)
        task = asyncio.create_task(upload.receive(request, folder, LIMITS, seen.append))
        while len(seen) < 2:  # noqa: ASYNC110 - the callback is called from the same loop
            await asyncio.sleep(0)
        assert (uploads.count.used, uploads.bytes.held(ANN)) == (1, len(HEAD) + 3000)
        go_on.set()
        assert [file.size for file in await task] == [3000]
        assert (uploads.count.used, uploads.bytes.held(ANN)) == (0, seen[-1])
    assert uploads.bytes.used == 0


async def test_an_upload_beyond_the_clients_share_of_the_disk_is_refused(folder: SpoolFolder) -> None:
    uploads = Uploads(Settings(max_uploads_bytes=9000))
    with uploads.begin(ANN) as upload, pytest.raises(TooManyUploads):
        await upload.receive(_request(HEAD, bytes(8500), b"\r\n--b--\r\n"), folder, LIMITS)
    with uploads.begin(ANN) as upload, pytest.raises(Overloaded):
        await upload.receive(_request(HEAD, bytes(9500), b"\r\n--b--\r\n"), folder, LIMITS)
    assert uploads.bytes.used == 0


async def test_an_upload_that_would_fill_the_disk_is_refused(folder: SpoolFolder) -> None:
    uploads = Uploads(Settings(max_uploads_bytes=1 << 60))
    uploads.bytes.add(ANN, 1 << 50)
    with uploads.begin(ANN) as upload, pytest.raises(SpoolFull):
        await upload.receive(_request(HEAD, b"\r\n--b--\r\n"), folder, LIMITS)
    with uploads.begin(BOB) as upload:
        assert len(await upload.receive(_request(HEAD, b"a\r\n--b--\r\n"), folder, LIMITS)) == 1
    assert uploads.bytes.used == 1 << 50


async def test_a_refusal_by_the_callback_ends_the_upload(folder: SpoolFolder) -> None:
    def refuse(_: int) -> None:
        raise Overloaded("no room")

    uploads = Uploads(Settings())
    with uploads.begin(ANN) as upload, pytest.raises(Overloaded):
        await upload.receive(_request(HEAD, b""), folder, LIMITS, refuse)
    assert (uploads.count.used, uploads.bytes.used) == (0, 0)
