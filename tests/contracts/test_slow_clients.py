"""The gateway under uvicorn with its own protocol, as `python -m services.gateway` starts it, and slow clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from redis import Redis

from services.common.connections.http_protocol import BoundedProtocol
from services.gateway.app import create_app
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import Stages, connect
from tests.redis_process import redis_url, running_redis

pytestmark = pytest.mark.anyio
KEY = "a-key-of-anns-0001"
UPLOAD = (
    b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: 9000000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
) % KEY.encode()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@asynccontextmanager
async def gateway(folder: Path, redis: Redis, **settings: Any) -> AsyncIterator[str]:
    """The address of a gateway without stages."""
    keys = folder / "senders"
    keys.write_text(f"ann {KEY}\n")
    keys.chmod(0o600)
    settings |= {"spool_dir": folder / "spool", "jobs_dir": folder / "jobs"}
    settings |= {"senders_file": keys, "redis_url": redis_url(redis)}
    stages = {name: connect(name, "http://127.0.0.1:9", 0.2, 0.2) for name in ("preprocess", "cnn", "rnn")}
    app = create_app(Stages(**stages), Settings(**settings))
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http=BoundedProtocol, ws="none", proxy_headers=False, log_config=None)
    )
    serving = asyncio.create_task(server.serve())
    await _until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)


async def _answer(url: str, sent: bytes) -> bytes:
    """The answer to bytes after which the client sends nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
    writer.write(sent)
    async with asyncio.timeout(20):
        answer = await reader.read(-1)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_slow_clients_are_answered_with_408_and_hold_nothing(tmp_path: Path, redis: Redis) -> None:
    async with gateway(tmp_path, redis, header_timeout_s=0.5, body_timeout_s=0.5) as url:
        answers = await asyncio.gather(_answer(url, b"GET /livez HTTP/1.1\r\nHo"), _answer(url, UPLOAD))
        async with httpx.AsyncClient(base_url=url) as client:
            metrics = (await client.get("/metrics")).text
        assert list((tmp_path / "jobs/incoming").glob("upload-*")) == []
    assert [answer.split()[1] for answer in answers] == [b"408", b"408"]
    assert 'closed_total{cause="header_timeout"} 1.0' in metrics
    assert 'closed_total{cause="body_timeout"} 1.0' in metrics
    assert "ich_uploads 0.0" in metrics


async def _statuses(client: httpx.AsyncClient, address: str, count: int) -> list[int]:
    headers = {"authorization": "Bearer a-wrong-key-000001", "x-forwarded-for": address}
    return [(await client.get("/v1/jobs", headers=headers)).status_code for _ in range(count)]


async def test_only_a_named_proxy_names_the_clients_address(tmp_path: Path, redis: Redis) -> None:
    async with gateway(tmp_path, redis) as url, httpx.AsyncClient(base_url=url) as client:
        assert await _statuses(client, "203.0.113.1", 11) == [401] * 10 + [429]
        assert await _statuses(client, "203.0.113.2", 1) == [429], "one address, which is not believed to be two"
    async with gateway(tmp_path, redis, proxies=("127.0.0.1",)) as url, httpx.AsyncClient(base_url=url) as client:
        assert await _statuses(client, "203.0.113.1", 11) == [401] * 10 + [429]
        assert await _statuses(client, "203.0.113.2", 1) == [401]
        assert await _statuses(client, "203.0.113.2, 203.0.113.1", 1) == [429]
