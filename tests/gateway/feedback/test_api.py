"""Routes of feedback with a real Redis and no stages; tests write reports themselves."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx
import pytest
from redis import Redis

from services.gateway.jobs.job import Job
from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from tests.gateway.feedback.reports import assessed_job
from tests.gateway.jobs.conftest import redis, redis_process  # noqa: F401 - fixtures
from tests.gateway.jobs.test_api import app_of
from tests.redis_process import redis_url

pytestmark = pytest.mark.anyio
KEYS = {"ann": "a-key-of-anns-0001", "bob": "a-key-of-bobs-0001", "eve": "a-key-of-eves-0001"}
Clients = Callable[[str], httpx.AsyncClient]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def clients(redis: Redis, store: JobStore, tmp_path: Path) -> AsyncIterator[Clients]:  # noqa: ARG001, F811 - fixtures
    keys = tmp_path / "senders"
    keys.write_text("".join(f"{sender} {key} {'read_all' * (sender == 'eve')}\n" for sender, key in KEYS.items()))
    settings = Settings(
        spool_dir=tmp_path / "spool", jobs_dir=tmp_path / "store", redis_url=redis_url(redis), senders_file=keys
    )
    app = app_of(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        made = {
            sender: await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app),
                    base_url="http://localhost",
                    headers={"authorization": f"Bearer {key}"},
                    timeout=60,
                )
            )
            for sender, key in KEYS.items()
        }
        yield made.__getitem__


@pytest.fixture
def job(store: JobStore, tmp_path: Path, clients: Clients) -> Job:  # noqa: ARG001 - the gateway starts first
    return assessed_job(store, tmp_path)


def address_of(job: Job) -> str:
    return f"/v1/jobs/{job.id}/series/0/feedback"


async def test_readers_see_each_others_opinions(clients: Clients, job: Job) -> None:
    given = await clients("ann").put(address_of(job), json={"label": "subdural", "opinion": "agree"})
    assert given.status_code == 200
    (own,) = given.json()["feedback"]
    assert (given.json()["reader"], own["reader"], own["predicted"], own["slice"]) == ("ann", "ann", True, None)
    answer = await clients("eve").put(address_of(job), json={"label": "any", "opinion": "disagree", "slice": 1})
    assert [one["reader"] for one in answer.json()["feedback"]] == ["ann", "eve"]
    assert (await clients("ann").get(address_of(job))).json()["feedback"] == answer.json()["feedback"]


async def test_the_worklist_counts_opinions(clients: Clients, job: Job) -> None:
    ann = clients("ann")
    await ann.put(address_of(job), json={"label": "subdural", "opinion": "agree"})
    while True:  # the index is refreshed in the background
        entries = (await ann.get("/v1/worklist")).json()["entries"]
        if entries and entries[0]["feedback"] == {"agree": 1, "disagree": 0, "uncertain": 0}:
            return
        await anyio.sleep(0.01)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"label": "fracture", "opinion": "agree"}, 400, "malformed_request"),
        ({"label": "any", "opinion": "maybe"}, 400, "malformed_request"),
        ({"label": "any"}, 400, "malformed_request"),
        ({"label": "any", "opinion": "agree", "slice": -1}, 400, "malformed_request"),
        ({"label": "any", "opinion": "agree", "slice": 3}, 404, "no_such_slice"),
    ],
)
async def test_an_opinion_on_something_else_is_refused(
    clients: Clients, job: Job, body: dict[str, object], status: int, code: str
) -> None:
    answer = await clients("ann").put(address_of(job), json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert job.opinions() == []


async def test_the_export_is_a_table_of_labels_in_three_forms(clients: Clients, job: Job) -> None:
    ann = clients("ann")
    for label, opinion in (("any", "agree"), ("subdural", "disagree"), ("epidural", "uncertain")):
        await ann.put(address_of(job), json={"label": label, "opinion": opinion})
    await ann.put(address_of(job), json={"label": "any", "opinion": "disagree", "slice": 2})
    table = await ann.get("/v1/feedback", headers={"accept": "text/csv"})
    assert table.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(table.text))
    assert (row["series_instance_uid"], row["any"], row["subdural"], row["epidural"]) == ("2.25.1", "1", "0", "")
    lines = await ann.get("/v1/feedback?rows=slices", headers={"accept": "application/x-ndjson"})
    (line,) = map(json.loads, lines.text.splitlines())
    assert (line["sop_instance_uid"], line["any"], line["subdural"]) == ("2.25.1.2", 1, None)
    assert "series_instance_uid" not in line
    first = (await ann.get("/v1/feedback?rows=opinions&limit=3")).json()
    rest = (await ann.get(first["next"])).json()
    assert [row["opinion"] for row in first["rows"] + rest["rows"]] == ["agree", "disagree", "uncertain", "disagree"]
    assert rest["next"] is None
    header, *cells = csv.reader(
        io.StringIO((await ann.get("/v1/feedback?rows=opinions", headers={"accept": "text/csv"})).text)
    )
    assert (len(header), len(cells)) == (9, 4)


async def test_the_export_has_readable_jobs_of_the_time_only(clients: Clients, job: Job) -> None:
    await clients("ann").put(address_of(job), json={"label": "any", "opinion": "agree"})

    async def rows(sender: str, query: str = "") -> int:
        answer = await clients(sender).get(f"/v1/feedback?{query}")
        assert answer.status_code == 200
        return len(answer.json()["rows"])

    assert (await rows("ann"), await rows("bob"), await rows("eve")) == (1, 0, 1)
    assert (await rows("ann", "from=2020-01-01"), await rows("ann", "to=2020-01-01")) == (1, 0)
    assert (await rows("ann", "from=2999-01-01"), await rows("ann", "to=2999-01-01")) == (0, 1)
    wrong = await clients("ann").get("/v1/feedback?from=yesterday")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_filter")


async def test_agreement_over_time(clients: Clients, job: Job, redis: Redis) -> None:  # noqa: F811 - the fixture
    await clients("ann").put(address_of(job), json={"label": "any", "opinion": "agree"})
    await clients("eve").put(address_of(job), json={"label": "any", "opinion": "disagree"})
    (period,) = (await clients("ann").get("/v1/feedback/agreement")).json()["periods"]
    assert (period["agree"], period["disagree"], period["rate"]["value"]) == (1, 1, 0.5)
    assert (await clients("bob").get("/v1/feedback/agreement?weeks=1")).json() == {"periods": []}
    assert (await clients("bob").get("/v1/feedback/agreement?weeks=0")).status_code == 400
    metrics = (await clients("bob").get("/metrics")).text
    assert 'ich_feedback_total{label="any",opinion="agree"} 1.0' in metrics
    assert redis.hgetall("ich:feedback") == {b"any agree": b"1", b"any disagree": b"1"}
