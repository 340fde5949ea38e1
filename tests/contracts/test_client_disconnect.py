"""A client closes its connection during an upload to uvicorn."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI

from tests.contracts.conftest import Chain

pytestmark = pytest.mark.anyio
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\nContent-Type: %s\r\n\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="zebedee.dcm"\r\n\r\n' + bytes(3_000_000)


async def _until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the condition never became true")


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[int]:
    """The port of uvicorn with an application whose lifespan runs elsewhere."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    await _until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def hang_up(port: int, path: bytes, kind: bytes, body: bytes) -> None:
    """Send less than the header announces, wait until it has been sent, and close."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD % (path, kind) + body)
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()


async def _count(app: FastAPI, route: str) -> float:
    """The number of requests of the route that were counted as 499, once there is one."""
    counted = app.state.metrics.requests.labels(route, "POST", 499)._value
    await _until(counted.get)
    return float(counted.get())


def _faults(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]


async def test_an_aborted_upload_is_499_in_log_and_metrics_and_leaves_no_files(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with served(chain.gateway) as port:
        sending = asyncio.create_task(hang_up(port, b"/v1/predictions", b"multipart/form-data; boundary=b", PART))
        spool = chain.settings.spool_dir
        await _until(lambda: list(spool.glob("*/*")))
        await sending
        assert await _count(chain.gateway, "/v1/predictions") == 1
    assert list(spool.glob("upload-*")) == []
    requests = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    (line,) = (record for record in requests if record["fields"]["route"] == "/v1/predictions")
    assert (line["levelname"], line["fields"]["status"]) == ("INFO", 499)
    assert not _faults(caplog)


async def test_a_connection_that_the_gateway_closes_is_no_fault_of_the_stage(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(chain.apps["cnn"]) as port:
        await hang_up(port, b"/v2/models/cnn/infer", b"application/octet-stream", bytes(1_000_000))
        assert await _count(chain.apps["cnn"], "/v2/models/{name}/infer") == 1
    assert not _faults(caplog)
