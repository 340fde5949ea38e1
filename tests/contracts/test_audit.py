"""The audit log of the real gateway: a line for each access, before its response, and nothing that it must not hold."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from redis import Redis
from starlette.routing import BaseRoute

from services.gateway.audit.events import ACTIONS, NOT_AUDITED
from services.gateway.audit.file import AuditFileUnusable
from services.gateway.audit.keys import AuditKeyUnusable
from services.gateway.audit.verify import read_heads, verify
from services.gateway.jobs.file_retention import FileRetention
from services.gateway.jobs.retention import Retention, RetentionClock
from services.gateway.jobs.store import JobStore
from services.gateway.settings import Settings
from tests.contracts.conftest import Chain, open_chain
from tests.gateway.audit.factories import breaks, full_disk, write_log
from tests.redis_process import redis_url, running_redis
from tests.scans import ct_slice

pytestmark = pytest.mark.anyio

KEYS = {"ann": "a-key-of-anns-0001", "bob": "a-key-of-bobs-0001", "eve": "a-key-of-eves-0001"}
ROLES = {"eve": "read_all"}
SECRET = f"whsec_{b64encode(bytes(range(32))).decode()}"
NAME = "Doe^Jane-MRN.dcm"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as client:
        yield client


@pytest.fixture
def gateway_settings(gateway_settings: Settings, redis: Redis, tmp_path: Path) -> Settings:
    redis.flushall()
    senders = tmp_path / "senders"
    senders.write_text("\n".join(f"{sender} {key} {ROLES.get(sender, '')}" for sender, key in KEYS.items()))
    senders.chmod(0o600)
    changed = {
        "redis_url": redis_url(redis),
        "senders_file": senders,
        "audit_file": tmp_path / "audit" / "audit.jsonl",
        "audit_head": str(tmp_path / "elsewhere" / "head.jsonl"),
    }
    return gateway_settings.model_copy(update=changed)


def lines_of(settings: Settings) -> list[dict[str, Any]]:
    assert settings.audit_file is not None
    return [json.loads(line) for line in settings.audit_file.read_text().splitlines()]


def last_line(settings: Settings) -> dict[str, Any]:
    return lines_of(settings)[-1]


def texts_below(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.iterdir())


def sign_in(client: httpx.AsyncClient, sender: str = "ann") -> None:
    client.headers["authorization"] = f"Bearer {KEYS[sender]}"


@pytest.fixture
def signed_in(chain: Chain) -> Chain:
    sign_in(chain.client)
    return chain


def _routes(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    """Every route, those of included routers too."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router:
            yield from _routes(router.routes)
        else:
            yield route


def _operations(app: FastAPI) -> set[str]:
    """The operation ids of all routes; a route without one is the documentation, or serves the page's files."""
    found = {str(getattr(route, "operation_id", None) or getattr(route, "path", "")) for route in _routes(app.routes)}
    documents = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc", "/docs-assets", ""}
    assert documents <= found
    return found - documents


async def test_every_route_is_audited_or_known_to_hold_nothing_of_a_patient(chain: Chain) -> None:
    assert _operations(chain.gateway) == ACTIONS.keys() | NOT_AUDITED


async def _job(chain: Chain) -> str:
    answer = await chain.client.post("/v1/jobs", files=[("files", (NAME, ct_slice()))])
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def test_each_access_is_a_line_before_its_response(signed_in: Chain) -> None:
    chain, settings = signed_in, signed_in.settings
    predicted = await chain.predict({NAME: ct_slice()}, images=True)
    assert predicted.status_code == 200
    line = last_line(settings)
    assert (line["action"], line["operation"], line["sender"], line["status"]) == ("upload", "predict", "ann", 200)
    assert (line["address"], line["request"]) == ("127.0.0.1", predicted.headers["x-request-id"])
    assert (line["job"], line["code"]) == (None, None)

    job = await _job(chain)
    assert (last_line(settings)["operation"], last_line(settings)["job"]) == ("create_job", job)
    for path, operation in (("", "get_job"), ("/reports", "get_reports")):
        assert (await chain.client.get(f"/v1/jobs/{job}{path}")).status_code == 200
        line = last_line(settings)
        assert (line["action"], line["operation"], line["job"]) == ("read", operation, job)
    for path, operation in (
        ("/blood", "get_blood"),
        ("/report", "get_report"),
        ("/slices/0", "get_slice"),
        ("/slices/0/image", "get_image"),
    ):
        assert (await chain.client.get(f"/v1/jobs/{job}/series/0{path}")).status_code == 404
        line = last_line(settings)
        assert (line["action"], line["operation"], line["code"]) == ("read", operation, "no_report")
    assert (await chain.client.get("/v1/jobs")).status_code == 200
    assert (last_line(settings)["operation"], last_line(settings)["job"]) == ("list_jobs", None)

    for action, status in (("cancel", 200), ("delete", 204)):
        assert (await chain.client.delete(f"/v1/jobs/{job}")).status_code == status
        assert (last_line(settings)["action"], last_line(settings)["job"]) == (action, job)
    assert (await chain.client.get(f"/v1/jobs/{job}")).status_code == 404
    line = last_line(settings)
    assert (line["action"], line["status"], line["code"], line["job"]) == ("read", 404, "not_found", job)


async def test_a_read_of_another_senders_job_names_reader_and_owner(signed_in: Chain) -> None:
    job = await _job(signed_in)
    for sender, status, owner in (("ann", 200, None), ("bob", 404, None), ("eve", 200, "ann")):
        sign_in(signed_in.client, sender)
        assert (await signed_in.client.get(f"/v1/jobs/{job}")).status_code == status
        line = last_line(signed_in.settings)
        assert (line["sender"], line.get("owner"), line["job"]) == (sender, owner, job)
    assert (await signed_in.client.get(f"/v1/worklist?text={NAME}")).status_code == 200
    line = last_line(signed_in.settings)
    assert (line["action"], line["operation"], line["sender"]) == ("read", "list_worklist", "eve")
    assert signed_in.settings.audit_file is not None
    assert "Doe" not in signed_in.settings.audit_file.read_text()


async def test_a_stream_of_events_is_a_line_when_it_begins(signed_in: Chain) -> None:
    job = await _job(signed_in)
    await signed_in.client.delete(f"/v1/jobs/{job}")
    events = await signed_in.client.get(f"/v1/jobs/{job}/events")
    assert events.status_code == 200
    assert [(line["operation"], line["job"]) for line in lines_of(signed_in.settings)[-1:]] == [("watch_job", job)]


async def test_head_and_failed_uploads_are_lines(signed_in: Chain) -> None:
    await signed_in.client.head("/v1/jobs")
    assert last_line(signed_in.settings)["operation"] == "list_jobs"
    assert (await signed_in.predict({"notes.txt": b"no image"})).status_code == 415
    line = last_line(signed_in.settings)
    assert (line["action"], line["status"], line["code"]) == ("upload", 415, "unsupported_file")


@pytest.mark.parametrize("key", [None, "another-key-of-nobody"])
async def test_a_refused_key_is_a_line_without_the_key(chain: Chain, key: str | None) -> None:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    for method, path in (("GET", "/v1/jobs"), ("POST", "/v1/predictions"), ("DELETE", "/v1/jobs/0123456789abcdef")):
        assert (await chain.client.request(method, path, headers=headers)).status_code == 401
        line = last_line(chain.settings)
        assert (line["action"], line["sender"], line["status"], line["code"]) == (
            "refuse_key", None, 401, "unauthorized",
        )  # fmt: skip
        assert line["address"] == "127.0.0.1"
    assert chain.settings.audit_file is not None
    assert "another-key" not in chain.settings.audit_file.read_text()


async def test_a_key_is_read_anew_for_each_request(chain: Chain) -> None:
    for sender in ("ann", "bob", None, "ann"):
        chain.client.headers.pop("authorization", None)
        if sender:
            sign_in(chain.client, sender)
        await chain.client.get("/v1/jobs")
        assert last_line(chain.settings)["sender"] == sender


async def test_probes_metrics_documents_and_the_page_leave_no_line(chain: Chain) -> None:
    for path in (
        "/livez",
        "/readyz",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/",
        "/app.js",
        "/v1/models",
        "/v1/nothing",
    ):
        await chain.client.get(path)
    assert [line["action"] for line in lines_of(chain.settings)] == ["start"]


async def test_no_line_holds_a_name_a_query_or_text_of_a_path(signed_in: Chain, tmp_path: Path) -> None:
    client = signed_in.client
    await signed_in.predict({NAME: ct_slice()}, operating_point="sensitive")
    await client.get("/v1/jobs/Doe^Jane", params={"patient": "Jane"})
    await client.get("/v1/jobs/MRN%0a%22/reports")
    await client.delete("/v1/jobs/D%C3%B6e")
    await client.get("/v1/jobs", headers={"x-request-id": "Doe^Jane"})
    written = texts_below(tmp_path / "audit")
    for text in ("Doe", "Jane", "MRN", "operating_point=", "sensitive?", *KEYS.values(), "D\\u00f6e"):
        assert text not in written, text
    assert [line["job"] for line in lines_of(signed_in.settings)[2:]] == [None] * 4


async def test_expiry_is_a_line_of_the_system(signed_in: Chain) -> None:
    job = await _job(signed_in)
    await signed_in.client.delete(f"/v1/jobs/{job}")
    service = signed_in.gateway.state.jobs
    expiring = Retention(service.store, RetentionClock(service.store.storage), ttl_s=-1.0)
    replace(service, retention=expiring).sweep()
    await signed_in.client.get("/v1/jobs")
    line = next(line for line in lines_of(signed_in.settings) if line["action"] == "expire")
    assert (line["sender"], line["owner"], line["job"]) == ("system", "ann", job)


async def test_the_removal_of_files_is_a_line_of_the_system(signed_in: Chain) -> None:
    found = await _job(signed_in)
    service = signed_in.gateway.state.jobs
    job = service.store.job("ann", found)
    service.store.close(job, "routine", "finished")
    files = FileRetention(ttl_s=0, quota_bytes=0)
    expiring = Retention(service.store, RetentionClock(service.store.storage), 3600.0, files)
    replace(service, retention=expiring).sweep()
    assert (job.has_files(), job.exists()) == (False, True)
    await signed_in.client.get("/v1/jobs")
    (line,) = (line for line in lines_of(signed_in.settings) if line["action"] == "expire_files")
    assert (line["sender"], line["owner"], line["job"]) == ("system", "ann", found)


async def test_the_client_address_is_the_one_behind_a_proxy(gateway_settings: Settings, tmp_path: Path) -> None:
    settings = gateway_settings.model_copy(update={"proxies": ("127.0.0.1",)})
    async with open_chain(tmp_path / "bundle", settings) as chain:
        sign_in(chain.client)
        await chain.client.get("/v1/jobs", headers={"x-forwarded-for": "203.0.113.7"})
    assert lines_of(settings)[1]["address"] == "203.0.113.7"


async def test_start_shows_settings_without_secrets_and_their_changes(
    gateway_settings: Settings, tmp_path: Path
) -> None:
    secret = tmp_path / "webhook-secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    second = gateway_settings.model_copy(update={"max_files": 77, "webhook_secret_file": secret})
    for number, settings in enumerate((gateway_settings, gateway_settings, second)):
        async with open_chain(tmp_path / f"bundle-{number}", settings):
            pass
    assert gateway_settings.senders_file is not None
    gateway_settings.senders_file.write_text(f"eve {KEYS['ann']}")
    async with open_chain(tmp_path / "bundle", second):
        pass
    starts = [line for line in lines_of(gateway_settings) if line["action"] == "start"]
    assert [line["changed"] for line in starts] == [
        None, [], ["max_files", "webhook_secret_file"], ["senders_file"],
    ]  # fmt: skip
    assert starts[2]["settings"]["max_files"] == 77
    assert {starts[2]["settings"][name] for name in ("webhook_secret_file", "redis_url")} == {"set"}
    assert starts[2]["settings"]["senders_file"] == str(gateway_settings.senders_file)
    files = texts_below(tmp_path / "audit")
    for text in (SECRET, *KEYS.values(), str(secret), gateway_settings.redis_url):
        assert text not in files


async def test_the_log_of_two_processes_is_whole_by_its_heads(gateway_settings: Settings, tmp_path: Path) -> None:
    for number in range(2):
        async with open_chain(tmp_path / f"bundle-{number}", gateway_settings) as chain:
            sign_in(chain.client)
            await _job(chain)
    assert gateway_settings.audit_file is not None
    assert gateway_settings.audit_head is not None
    heads = read_heads(Path(gateway_settings.audit_head))
    found = verify([gateway_settings.audit_file], heads)
    assert len(found.chains) == len({head.chain for head in heads}) == 2
    assert found.findings == []
    content = gateway_settings.audit_file.read_bytes().splitlines(keepends=True)
    gateway_settings.audit_file.write_bytes(b"".join(content[:-2]))
    assert "the tail was cut" in breaks(verify([gateway_settings.audit_file], heads))[0]


async def test_a_second_gateway_on_the_same_file_is_refused(chain: Chain, tmp_path: Path) -> None:
    folders = {"spool_dir": tmp_path / "other-spool", "jobs_dir": tmp_path / "other-jobs"}
    with pytest.raises(AuditFileUnusable, match="another gateway writes this audit log"):
        async with open_chain(tmp_path / "second", chain.settings.model_copy(update=folders)):
            pass


@pytest.mark.parametrize(
    ("audit_file", "audit_head"),
    [("audit.settings", None), ("audit.head", None), ("audit.jsonl", "audit.jsonl"), (None, "syslog:here")],
)
def test_places_that_exclude_each_other_stop_the_start(audit_file: str | None, audit_head: str | None) -> None:
    with pytest.raises(ValidationError, match=r"audit_|syslog"):
        Settings(audit_file=audit_file and Path(audit_file), audit_head=audit_head)


async def test_a_folder_that_is_not_writable_stops_the_start_by_name(
    chain: Chain, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.settings").mkdir()
    folders = {"spool_dir": tmp_path / "other-spool", "jobs_dir": tmp_path / "other-jobs"}
    settings = chain.settings.model_copy(update={**folders, "audit_file": tmp_path / "a.jsonl"})
    with pytest.raises(AuditFileUnusable, match=r"a\.settings cannot be written .*ICH_GATEWAY_AUDIT_FILE"):
        async with open_chain(tmp_path / "second", settings):
            pass
    assert "a.settings cannot be written" in caplog.text


async def test_a_key_makes_the_hashes(gateway_settings: Settings, tmp_path: Path) -> None:
    key = tmp_path / "audit-key"
    key.write_text(f"{'k' * 64}\n")
    key.chmod(0o600)
    async with open_chain(tmp_path / "bundle", gateway_settings.model_copy(update={"audit_key_file": key})):
        pass
    assert gateway_settings.audit_file is not None
    assert breaks(verify([gateway_settings.audit_file], key=b"k" * 64)) == []
    assert len(breaks(verify([gateway_settings.audit_file]))) == 2


async def test_a_key_that_others_can_read_stops_the_start(gateway_settings: Settings, tmp_path: Path) -> None:
    key = tmp_path / "audit-key"
    key.write_text("k" * 64)
    key.chmod(0o644)
    with pytest.raises(AuditKeyUnusable, match="chmod 600"):
        async with open_chain(tmp_path / "bundle", gateway_settings.model_copy(update={"audit_key_file": key})):
            pass


@pytest.mark.parametrize("required", [False, True])
async def test_a_full_disk_is_served_counted_or_refused_by_name(
    gateway_settings: Settings, tmp_path: Path, *, required: bool
) -> None:
    settings = gateway_settings.model_copy(update={"audit_required": required})
    assert settings.audit_file is not None
    write_log(settings.audit_file, 10_000)  # larger than the other files of this process
    async with open_chain(tmp_path / "bundle", settings) as chain:
        sign_in(chain.client)
        with full_disk(settings.audit_file):
            for _ in range(2):
                answer = await chain.client.get("/v1/jobs")
                assert answer.status_code == (503 if required else 200)
            if required:
                assert answer.json()["code"] == "audit_unavailable"
                assert "make room" in answer.json()["detail"]
                assert answer.headers["retry-after"] == "10"
                assert answer.headers["cache-control"] == "no-store"
            assert (await chain.client.get("/livez")).status_code == 200
        answer = await chain.client.get("/v1/jobs")
        assert answer.status_code == 200
        metrics = (await chain.client.get("/metrics")).text
        assert "ich_audit_errors_total 0.0" not in metrics
    assert breaks(verify([settings.audit_file])) == []
    assert "lost" in [line["action"] for line in lines_of(settings)]


async def test_an_upload_is_refused_before_it_is_read_while_lines_are_required(
    gateway_settings: Settings, tmp_path: Path
) -> None:
    settings = gateway_settings.model_copy(update={"audit_required": True})
    assert settings.audit_file is not None
    write_log(settings.audit_file, 10_000)
    async with open_chain(tmp_path / "bundle", settings) as chain:
        sign_in(chain.client)
        with full_disk(settings.audit_file):
            assert (await chain.client.get("/v1/jobs")).status_code == 503
            answer = await chain.client.post("/v1/jobs", files=[("files", (NAME, ct_slice()))])
            assert answer.json()["code"] == "audit_unavailable"
        store: JobStore = chain.gateway.state.jobs.store
        assert store.jobs("ann") == []


async def test_an_unexpected_error_is_a_line(signed_in: Chain) -> None:
    jobs = signed_in.settings.jobs_dir / "jobs"
    jobs.mkdir(exist_ok=True)
    (jobs / "ann").touch()  # where the sender's folder must be
    with pytest.raises(NotADirectoryError):
        await signed_in.client.get("/v1/jobs")
    await signed_in.predict({NAME: ct_slice()})
    line = next(line for line in lines_of(signed_in.settings) if line.get("operation") == "list_jobs")
    assert (line["status"], line["code"]) == (500, "internal_error")
