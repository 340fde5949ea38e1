import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from services.common.connections.table import MAX_DISCARDED_BYTES
from tests.common.connections.protocol_server import Client, Server, serving

pytestmark = pytest.mark.anyio
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHo"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as in production


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as opened:
        yield opened


async def problem(client: Client) -> tuple[int, str]:
    """The status and code of the last response on a connection, which must be a problem."""
    head, _, body = (await client.answer()).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    document = json.loads(body)
    assert document["request_id"]
    return document["status"], document["code"]


async def test_a_half_sent_header_is_answered_with_408(server: Server) -> None:
    client = await server.connect(HALF)
    await server.after(9.9)
    assert len(server.table) == 1
    await client.send(b"st: a\r\nX: ")  # more bytes give no more time
    await server.after(0.2)
    assert await problem(client) == (408, "request_timeout")
    assert server.table.closed == {"header_timeout": 1}


async def test_a_silent_connection_is_closed_without_an_answer(server: Server) -> None:
    client = await server.connect()
    await server.after(10.1)
    assert await client.closed()


async def test_the_header_of_a_kept_connection_counts_from_its_first_byte(server: Server) -> None:
    client = await server.connect(GET)
    assert await client.status() == 200
    await server.after(60)
    assert len(server.table) == 1, "idle connections are uvicorn's to close"
    await client.send(HALF)
    await server.after(10.1)
    assert b"408" in await client.answer()


async def test_a_body_that_pauses_is_answered_with_408(server: Server) -> None:
    client = await server.connect(UPLOAD + bytes(5000))
    await server.after(29)
    await client.send(bytes(5000))
    await server.after(29)
    assert not server.table.closed
    await server.after(1.1)
    assert await problem(client) == (408, "request_timeout")
    assert server.table.closed == {"body_timeout": 1}
    assert server.app.bodies == [], "the application knows that the client is gone"


async def test_a_body_that_drips_is_answered_with_408(server: Server) -> None:
    client = await server.connect(UPLOAD)
    for _ in range(3):
        await server.after(10)
        await client.send(b"x")
    await server.after(1)
    assert await problem(client) == (408, "request_timeout")


async def test_a_body_that_the_application_does_not_read_has_no_timeout(server: Server) -> None:
    client = await server.connect(UPLOAD.replace(b" / ", b" /wait ") + bytes(90_000))
    for _ in range(5):
        await server.after(29)
    server.app.go_on.set()
    await client.send(bytes(10_000))
    assert await client.status() == 200


async def test_a_client_that_waits_for_100_continue_has_no_timeout(server: Server) -> None:
    client = await server.connect(UPLOAD.replace(b" / ", b" /wait ").replace(b"Host", b"Expect: 100-continue\r\nHost"))
    for _ in range(3):
        await server.after(29)
    server.app.go_on.set()
    assert await client.status() == 100


async def test_a_client_that_does_not_read_is_disconnected(server: Server) -> None:
    await server.connect(GET.replace(b" / ", b" /large "))
    await server.after(0)
    await server.after(59)
    assert not server.table.closed
    await server.after(2)
    assert server.table.closed == {"unread_response": 1}


async def test_a_client_that_reads_keeps_its_connection(server: Server) -> None:
    client = await server.connect(GET.replace(b" / ", b" /large "))
    for _ in range(20):
        await server.after(30)
        async with asyncio.timeout(5):
            await client.reader.readexactly(2_000_000)
    assert not server.table.closed


async def test_the_rest_of_a_refused_body_is_read_slowly_and_not_for_ever(server: Server) -> None:
    endless = b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n"
    client = await server.connect(endless)
    assert await client.status() == 200
    client.writer.write(bytes(3 * MAX_DISCARDED_BYTES))
    await server.after(1)
    assert not server.table.closed
    assert client.writer.transport.get_write_buffer_size() > 0, "reading pauses"
    await server.after(120)
    assert server.table.closed == {"body_timeout": 1}


async def test_a_refused_body_that_ends_leaves_the_connection_usable(server: Server) -> None:
    client = await server.connect(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
    assert await client.status() == 200
    client.writer.write(bytes(20_000_000))
    for _ in range(50):
        await server.after(0)
    await client.send(GET)
    async with asyncio.timeout(5):
        assert b"HTTP/1.1 200" in await client.reader.readuntil(b"HTTP/1.1 200")


async def test_a_request_in_work_has_no_timeout(server: Server) -> None:
    client = await server.connect(WAIT)
    await server.after(10_000)
    server.app.go_on.set()
    assert await client.status() == 200


@pytest.mark.parametrize(
    "header",
    [b"X: " + b"a" * 70_000, b"\r\n".join(b"X%d: a" % number for number in range(101)), b"X: " + b"a" * 400_000],
    ids=["bytes", "fields", "more bytes than one read"],
)
async def test_a_large_header_is_refused(server: Server, header: bytes) -> None:
    client = await server.connect(b"GET / HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n\r\n")
    assert await problem(client) == (431, "header_too_large")


@pytest.mark.parametrize("end", [b"", b" HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_a_long_target_is_refused_before_it_ends(server: Server, end: bytes) -> None:
    client = await server.connect(b"GET /" + b"a" * 70_000 + end)
    assert await problem(client) == (431, "header_too_large")


async def test_an_ordinary_header_is_accepted(server: Server) -> None:
    fields = b"".join(b"X%d: %s\r\n" % (number, b"a" * 600) for number in range(98))
    client = await server.connect(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert await client.status() == 200


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
async def test_other_protocols_are_answered_with_400(server: Server, data: bytes) -> None:
    client = await server.connect(data)
    assert await problem(client) == (400, "malformed_request")


async def test_a_trailer_changes_no_header_and_is_bounded(server: Server) -> None:
    chunked = b"POST /wait HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n"
    client = await server.connect(chunked + b"X-Forwarded-For: 1.2.3.4\r\n\r\n")
    server.app.go_on.set()
    assert await client.status() == 200
    assert b"x-forwarded-for" not in dict(server.app.scopes[0]["headers"])
    endless = await server.connect(chunked.replace(b"/wait", b"/") + b"X: " + b"a" * 400_000)
    assert await problem(endless) == (431, "header_too_large")


async def test_a_body_in_tiny_chunks_is_refused(server: Server) -> None:
    header = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    tiny = await server.connect(header + b"1\r\na\r\n" * 1100)
    assert await problem(tiny) == (400, "malformed_request")
    small = await server.connect(header + b"100\r\n" + bytes(256) + b"\r\n" + (b"50\r\n" + bytes(80) + b"\r\n") * 3000)
    await small.send(b"0\r\n\r\n")
    assert await small.status() == 200
    assert server.app.bodies == [256 + 3000 * 80]


async def test_few_requests_may_wait_on_one_connection(server: Server) -> None:
    few = await server.connect(WAIT + GET * 3)
    many = await server.connect(WAIT + GET * 20)
    await server.after(0)
    assert server.table.closed == {"bad_request": 1}
    assert await many.closed(), "the response of the first request must not be another one's refusal"
    server.app.go_on.set()
    async with asyncio.timeout(5):
        answers = await few.reader.read(100)
    assert answers.startswith(b"HTTP/1.1 200")


async def test_the_application_hears_that_the_client_of_a_pipelined_request_is_gone(server: Server) -> None:
    client = await server.connect(GET.replace(b" / ", b" /stream ") + GET)
    client.writer.close()
    async with asyncio.timeout(5):
        await server.app.gone.wait()
    assert server.app.bodies == []
    assert len(server.table) == 0


JAVA = (  # java.net.http.HttpClient of JDK 21
    b"POST %s HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n%s\r\nHost: a\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\n"
    b"User-Agent: Java-http-client/21\r\nContent-Type: application/octet-stream\r\n\r\n"
)
CURL = (  # curl --http2
    b"POST %s HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n%s\r\n\r\n"
)
LENGTH = (b"Content-Length: 3000", b"a" * 3000)
CHUNKED = (b"Transfer-encoding: chunked", b"3e8\r\n" + b"a" * 1000 + b"\r\n7d0\r\n" + b"a" * 2000 + b"\r\n0\r\n\r\n")
EMPTY = (b"Content-Length: 0", b"")


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("header", [JAVA, CURL], ids=["Java", "curl"])
@pytest.mark.parametrize(
    ("body", "length"), [(LENGTH, 3000), (CHUNKED, 3000), (EMPTY, 0)], ids=["length", "chunked", "empty"]
)
@pytest.mark.parametrize("size", [1 << 20, 100, 331])
async def test_an_upgrade_is_ignored_and_its_body_read(
    server: Server, header: bytes, body: tuple[bytes, bytes], length: int, size: int
) -> None:
    client = await server.connect()
    message = header % (b"/", body[0]) + body[1]
    for piece in cut(2 * message + GET, size):
        client.writer.write(piece)
        await asyncio.sleep(0.002)
    answers = 0
    async with asyncio.timeout(5):
        while line := await client.reader.readline():
            answers += b"HTTP/1.1 200" in line  # a body ends without a newline
            if answers == 3:
                break
    assert server.app.bodies == [length, length, 0], "the connection stays usable"


async def test_the_header_and_the_body_of_an_upgrade_may_come_apart(server: Server) -> None:
    for header, (framing, body) in ((JAVA, LENGTH), (CURL, CHUNKED)):
        client = await server.connect(header % (b"/", framing))
        for piece in (body[:1], body[1:-1], body[-1:]):
            await client.send(piece)
        assert await client.status() == 200
    assert server.app.bodies == [3000, 3000]


async def test_a_request_with_an_upgrade_and_no_body_is_served(server: Server) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    client = await server.connect(upgrade)
    assert await client.status() == 200
    await client.send(GET.replace(b"Host", b"Connection: close\r\nHost"))
    assert (await client.answer()).count(b"HTTP/1.1 200") == 1
    assert server.app.bodies == [0, 0]
    assert len(server.app.scopes) == 2


async def test_the_body_of_an_upgrade_is_no_second_request(server: Server) -> None:
    client = await server.connect(CURL % (b"/", b"Content-Length: %d" % len(GET)) + GET)
    assert await client.status() == 200
    assert server.app.bodies == [len(GET)]


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5x",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding:\r\nX: a",
    ],
)
async def test_an_upgrade_with_a_malformed_framing_is_refused(server: Server, framing: bytes) -> None:
    client = await server.connect(CURL % (b"/", framing) + b"5\r\nabcde\r\n0\r\n\r\n")
    assert (await problem(client))[0] == 400


async def test_the_bounds_hold_for_requests_with_an_upgrade(server: Server) -> None:
    many = await server.connect(WAIT + CURL % (b"/", EMPTY[0]) * 20)
    await server.after(0)
    assert server.table.closed == {"bad_request": 1}
    assert await many.closed()
    tiny = await server.connect(CURL % (b"/", CHUNKED[0]) + b"1\r\na\r\n" * 1100)
    assert await problem(tiny) == (400, "malformed_request")
    fields = b"\r\n".join(b"X%d: a" % number for number in range(101))
    assert await problem(await server.connect(CURL % (b"/", fields))) == (431, "header_too_large")
    trailer = CURL % (b"/", CHUNKED[0]) + b"5\r\nabcde\r\n0\r\n" + fields.replace(b"X", b"T") + b"\r\n\r\n"
    assert await problem(await server.connect(trailer)) == (431, "header_too_large")


async def test_the_body_of_an_upgrade_has_a_timeout(server: Server) -> None:
    client = await server.connect(JAVA % (b"/", LENGTH[0]) + b"a")
    await server.after(31)
    assert await problem(client) == (408, "request_timeout")
    assert server.table.closed == {"body_timeout": 1}


async def test_connect_opens_no_tunnel(server: Server) -> None:
    client = await server.connect(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + GET)
    assert (await client.answer()).count(b"HTTP/1.1") == 1


async def test_http_1_0_is_served_and_closed(server: Server) -> None:
    client = await server.connect(b"GET / HTTP/1.0\r\n\r\n")
    assert (await client.answer()).startswith(b"HTTP/1.1 200")


async def test_half_open_connections_make_room_for_a_new_one_of_their_address(server: Server) -> None:
    half_open = [await server.connect(HALF)]
    server.clock[0] += 1
    half_open += [await server.connect(HALF) for _ in range(3)]
    for number in range(3):
        server.clock[0] += 1
        client = await server.connect(GET)
        assert await client.status() == 200, number
    assert await half_open[0].closed()
    assert len(server.table) == 4
    assert server.table.closed == {"evicted": 3}


async def test_where_all_are_served_a_new_connection_is_refused(server: Server) -> None:
    busy = [await server.connect(WAIT) for _ in range(4)]
    refused = await server.connect(GET)
    assert await problem(refused) == (503, "too_many_connections")
    other = await server.connect(GET, "127.0.0.2")
    assert await other.status() == 200
    server.app.go_on.set()
    assert [await client.status() for client in busy] == [200] * 4


async def test_a_stalled_upload_makes_room_and_an_active_one_does_not(server: Server) -> None:
    stalled = await server.connect(UPLOAD)
    server.clock[0] += 6
    for _ in range(3):
        await server.connect(UPLOAD)
    await server.connect(WAIT)
    assert await stalled.closed()
    assert await problem(await server.connect(GET)) == (503, "too_many_connections")


async def test_a_named_proxy_has_no_cap_of_its_own() -> None:
    async with serving(("127.0.0.9",)) as server:
        clients = [await server.connect(WAIT, "127.0.0.9") for _ in range(6)]
        assert server.app.waiting == 6
        server.app.go_on.set()
        assert [await client.status() for client in clients] == [200] * 6


async def test_in_all_the_address_with_most_connections_makes_room(server: Server) -> None:
    single = await server.connect(HALF, "127.0.0.3")
    server.clock[0] += 1
    many = [await server.connect(HALF, "127.0.0.4")]
    server.clock[0] += 1
    many += [await server.connect(HALF, f"127.0.0.{4 + number % 2}") for number in range(1, 7)]
    assert await (await server.connect(GET, "127.0.0.6")).status() == 200
    assert await many[0].closed()
    await single.send(b"st: a\r\n\r\n")
    assert await single.status() == 200
