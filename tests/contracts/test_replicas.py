"""Two replicas of cnn, real processes, behind what a platform balances with: spread, deaths, rollouts."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from services.cnn.app import create_app as create_cnn
from services.cnn.settings import Settings as CnnSettings
from services.gateway.app import create_app as create_gateway
from services.gateway.jobs.processing import MAX_STAGE_FAULTS
from services.gateway.settings import Settings
from services.gateway.stages.stage_client import CallOptions, StageClient, Stages, connect
from services.rnn.app import create_app as create_rnn
from services.rnn.settings import Settings as RnnSettings
from tests.bundles import fake_bundle, write_bundle
from tests.contracts.conftest import Chain, FeatureScorer, MeanExtractor, Swappable, stage_apps
from tests.contracts.replicas import Nat, Proxy, Replica, running_replicas, until
from tests.contracts.test_jobs import Batch
from tests.redis_process import redis_url, running_redis
from tests.scans import series

pytestmark = pytest.mark.anyio
REQUESTS = 50
DEFAULTS = CallOptions()
SLICES = 2


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def gateway_settings(gateway_settings: Settings, redis: Redis) -> Settings:
    redis.flushall()
    return gateway_settings.model_copy(update={"redis_url": redis_url(redis)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle of the replicas."""
    made = tmp_path_factory.mktemp("replicas")
    write_bundle(made / "bundle")
    return made


@pytest.fixture(scope="module")
def replicas(folder: Path) -> Iterator[list[Replica]]:
    """Two replicas, which no test ends."""
    with running_replicas(folder / "bundle", folder, 2) as found:
        yield found


@pytest.fixture
def pair(folder: Path, replicas: list[Replica]) -> Iterator[tuple[Replica, Replica]]:
    """A replica that the test ends, and another one."""
    with running_replicas(folder / "bundle", folder, 1) as found:
        yield found[0], replicas[0]


@asynccontextmanager
async def behind(
    kind: str, ports: list[int], folder: Path, settings: Settings, options: CallOptions = DEFAULTS
) -> AsyncIterator[Chain]:
    """The chain with cnn at these ports, behind random rules of addresses, or behind a proxy of connections."""
    if kind == "nat":
        client = httpx.AsyncClient(transport=Nat(ports), base_url="http://cnn", timeout=60)
        async with chain_with(StageClient("cnn", client, None, options), folder, settings) as chain:
            yield chain
        return
    async with Proxy(ports).listening() as proxy:
        cnn = connect("cnn", f"http://127.0.0.1:{proxy.port}", 2, 60, None, options)
        async with chain_with(cnn, folder, settings) as chain:
            yield chain


@asynccontextmanager
async def chain_with(cnn: StageClient, folder: Path, settings: Settings) -> AsyncIterator[Chain]:
    """A gateway in front of this cnn; the other stages run in this process."""
    extractor = MeanExtractor()
    apps = stage_apps(folder / "others", extractor)
    transports = {name: Swappable(app) for name, app in apps.items()}
    others = {
        name: StageClient(name, httpx.AsyncClient(transport=transports[name], base_url=f"http://{name}", timeout=60))
        for name in ("preprocess", "rnn")
    }
    stages = Stages(cnn=cnn, **others)
    gateway = create_gateway(stages, settings)
    async with (
        gateway.router.lifespan_context(gateway),
        httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://localhost", timeout=60) as client,
    ):
        yield Chain(client, gateway, stages, apps, extractor, settings, folder, transports)


async def _predict(chain: Chain, count: int) -> None:
    for _ in range(count):
        answer = await chain.predict(series(SLICES))
        assert answer.status_code == 200, answer.text


async def _slices(replicas: Sequence[Replica]) -> list[float]:
    return [await replica.slices() for replica in replicas]


@pytest.mark.parametrize("kind", ["nat", "proxy"])
async def test_slices_spread_also_over_a_replica_that_comes_later(
    kind: str, replicas: list[Replica], tmp_path: Path, gateway_settings: Settings
) -> None:
    first, later = replicas
    ports = [first.port]
    before = await _slices(replicas)
    async with behind(kind, ports, tmp_path, gateway_settings) as chain:
        await _predict(chain, 5)
        alone = await _slices(replicas)
        assert (alone[0] - before[0], alone[1] - before[1]) == (5 * SLICES, 0)
        ports.append(later.port)
        await _predict(chain, REQUESTS)
    done = [now - earlier for now, earlier in zip(await _slices(replicas), alone, strict=True)]
    print(f"slices of the replicas behind {kind}: {done}")
    assert sum(done) == REQUESTS * SLICES
    assert all(0.4 <= each / sum(done) <= 0.6 for each in done)


async def test_a_kept_connection_pins_a_replica(
    replicas: list[Replica], tmp_path: Path, gateway_settings: Settings
) -> None:
    before, kept = await _slices(replicas), CallOptions(requests_per_connection=10**9)
    async with behind("proxy", [each.port for each in replicas], tmp_path, gateway_settings, kept) as chain:
        await _predict(chain, 10)
    done = [now - earlier for now, earlier in zip(await _slices(replicas), before, strict=True)]
    assert sorted(done) == [0, 10 * SLICES]


@asynccontextmanager
async def held(*replicas: Replica) -> AsyncIterator[None]:
    """The replicas answer nothing until the context ends."""
    for replica in replicas:
        replica.hold.touch()
    try:
        yield
    finally:
        for replica in replicas:
            replica.hold.unlink()


@pytest.mark.parametrize(
    ("kind", "number"), [("nat", signal.SIGKILL), ("nat", signal.SIGTERM), ("proxy", signal.SIGKILL)]
)
async def test_a_replica_that_ends_in_mid_call_loses_no_request_and_no_series_of_a_job(
    kind: str,
    number: signal.Signals,
    pair: tuple[Replica, Replica],
    tmp_path: Path,
    gateway_settings: Settings,
    redis: Redis,
) -> None:
    (dying, other), calls = pair, list[asyncio.Task[httpx.Response]]()
    async with behind(kind, [dying.port, other.port], tmp_path, gateway_settings) as chain:
        batch = Batch(chain, redis)
        batch.stages = chain.stages
        address = await batch.send(_job_files(4))
        async with held(dying, other):
            job = asyncio.create_task(batch.work())
            calls += [asyncio.create_task(chain.predict(series(9))) for _ in range(4)]
            await asyncio.gather(dying.until_held(), other.until_held())
            dying.process.send_signal(number)
            await until(dying.refuses)
        calls += [asyncio.create_task(chain.predict(series(9))) for _ in range(4)]
        answers = await asyncio.gather(*calls)
        await job
        document, metrics = await batch.get(address), (await chain.client.get("/metrics")).text
        retries = chain.stages.cnn.retries.counts
    assert [answer.status_code for answer in answers] == [200] * 8
    assert (document["status"], document["counts"]["assessed"]) == ("finished", 4)
    assert (retries["broken"] > 0) == (number == signal.SIGKILL)
    assert f'ich_stage_retries_total{{cause="broken",stage="cnn"}} {retries["broken"]}.0' in metrics


def _job_files(count: int) -> dict[str, bytes]:
    """Series of 9 slices: three chunks each."""
    return {
        f"{number}-{name}": content
        for number in range(count)
        for name, content in series(9, SeriesInstanceUID=f"2.25.{number + 1}").items()
    }


class Rollout(httpx.AsyncBaseTransport):
    """Inferences alternate between a replica of each bundle, until the old one has ended."""

    def __init__(self, old: httpx.AsyncBaseTransport, new: httpx.AsyncBaseTransport) -> None:
        self._old, self._new = old, new
        self.ended = False
        self.inferences = 0
        self._random = random.Random(1)  # noqa: S311 - no secret

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.inferences += request.method == "POST"
        new = self.inferences % 2 if request.method == "POST" else self._random.random() < 0.5
        turn = self._new if self.ended or new else self._old
        return await turn.handle_async_request(request)


@pytest.fixture
def rollout(chain: Chain, tmp_path: Path) -> Rollout:
    """A chain whose cnn is in a rollout; rnn has the new bundle already."""
    bundle = fake_bundle(tmp_path / "new", name="new")
    new = create_cnn(chain.extractor, bundle, CnnSettings())
    chain.transports["rnn"].inner = Swappable(create_rnn(FeatureScorer(), bundle, RnnSettings()))
    chain.transports["cnn"].inner = found = Rollout(chain.transports["cnn"].inner, Swappable(new))
    return found


async def test_a_rollout_never_mixes_features_of_two_bundles(chain: Chain, rollout: Rollout) -> None:
    for slices in (2, 9):  # one chunk by the old or by the new replica; three chunks by both
        answers = [await chain.predict(series(slices)) for _ in range(4)]
        assert {answer.status_code for answer in answers} == ({200, 502} if slices == 2 else {502})
        for answer in answers:
            document = answer.json()
            assert document.get("code") == "bundle_mismatch" or document["model"]["name"] == "new"
    rollout.ended = True
    assert (await chain.predict(series(9))).json()["model"]["name"] == "new"


async def test_jobs_wait_for_the_end_of_a_rollout(chain: Chain, rollout: Rollout, redis: Redis) -> None:
    batch = Batch(chain, redis)
    address = await batch.send(_job_files(1))
    work = asyncio.create_task(batch.work())

    async def attempted() -> bool:
        return rollout.inferences > 3 * MAX_STAGE_FAULTS  # the chunks in all attempts of a faulty series

    await until(attempted)
    rollout.ended = True
    await work
    document = await batch.get(address)
    assert (document["status"], document["counts"]["assessed"]) == ("finished", 1)
