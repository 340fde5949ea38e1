import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from redis import Redis
from rq.command import send_kill_horse_command, send_shutdown_command
from rq.utils import as_text

from services.common.schemas import HeadersReport, SetAsideFile
from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.scheduler import FairScheduler
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.jobs.worker import main
from services.gateway.uploads.spool import Spool
from tests.gateway.jobs.factories import headers_response, upload
from tests.gateway.jobs.hostile_calls import MARK, QUEUE, TOUCH, hostile_fields, leave_abandoned
from tests.object_storage import ObjectServer
from tests.receiver import receiving
from tests.redis_process import redis_url
from tests.running import ROOT, children, free_ports

NO_SERIES = HeadersReport(set_aside=(SetAsideFile(file=0, code="not_dicom"),))
WORKER = [sys.executable, "-m", "services.gateway.jobs.worker"]


def test_an_unknown_queue_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["urgent", "sometimes"])
    assert ended.value.code == 2
    assert "sometimes" in capsys.readouterr().err


def test_a_worker_without_redis_exits_with_a_message() -> None:
    (port,) = free_ports(1)
    environment = {**os.environ, "ICH_GATEWAY_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    ended = subprocess.run(WORKER, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Redis cannot be reached" in ended.stderr


def test_an_invalid_file_of_severities_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "acceptance.toml"
    file.write_text('[severity]\nconstant_image = "note"')
    environment = {**os.environ, "ICH_GATEWAY_ACCEPTANCE_FILE": str(file)}
    ended = subprocess.run(WORKER, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "constant_image cannot be lowered" in ended.stderr


def test_a_worker_imports_neither_networks_nor_image_libraries_nor_fastapi() -> None:
    packages = ("tensorflow", "keras", "numpy", "PIL", "pydicom", "fastapi")
    look = f"import sys, services.gateway.jobs.worker; print([name for name in {packages} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


class SlowStage(BaseHTTPRequestHandler):
    """preprocess that finds no series, and responds when `may_respond` is set."""

    protocol_version = "HTTP/1.1"
    requested = threading.Event()
    may_respond = threading.Event()

    def do_GET(self) -> None:
        self._respond({"content-length": "2"}, b"{}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.requested.set()
        self.may_respond.wait(60)
        self._respond(*headers_response(NO_SERIES))

    def _respond(self, headers: dict[str, str], body: bytes) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stage() -> Iterator[str]:
    SlowStage.requested.clear()
    SlowStage.may_respond.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowStage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextmanager
def _working(redis: Redis, folder: Path, stage: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    names, log = ("PREPROCESS_URL", "CNN_URL", "RNN_URL"), folder.parent / "worker.log"
    settings = {**dict.fromkeys(names, stage), "REDIS_URL": redis_url(redis), "JOBS_DIR": str(folder)}
    environment = {**os.environ, **{f"ICH_GATEWAY_{name}": value for name, value in settings.items()}, **more}
    with (
        log.open("wb") as file,
        subprocess.Popen([*WORKER, "routine"], cwd=ROOT, env=environment, stderr=file) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_a_worker_finishes_its_ticket_after_sigterm(redis: Redis, store: JobStore, tmp_path: Path, stage: str) -> None:
    job, _ = upload(store, tmp_path, {"a.txt": b"no image"}, JobOptions("ann", "routine", "default"))
    FairScheduler(redis, store, 8).schedule("routine", "ann")
    with _working(redis, tmp_path / "store", stage) as process:
        assert SlowStage.requested.wait(100)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        SlowStage.may_respond.set()
        assert process.wait(100) == 0
    end, plan = job.ended(), job.plan()
    assert end
    assert plan
    assert (end.status, [item.code for item in plan.left_out]) == ("failed", ["not_dicom"])
    assert redis.keys("ich:lane:*") == redis.keys("ich:tries:*") == []


def test_copies_of_a_killed_worker_and_of_a_killed_ticket_are_removed(
    redis: Redis, tmp_path: Path, stage: str, object_server: ObjectServer
) -> None:
    url, folder = object_server.new_url(), tmp_path / "worker"
    left = folder / "fetched" / "fetched-left"
    left.mkdir(parents=True)
    folder.chmod(0o700)
    store = JobStore(ObjectStorage(url, tmp_path), Spool(tmp_path / "incoming"))
    upload(store, tmp_path, {"a.txt": b"no image"}, JobOptions("ann", "routine", "default"))
    FairScheduler(redis, store, 8).schedule("routine", "ann")
    with _working(redis, folder, stage, ICH_GATEWAY_JOBS_URL=url) as process:
        assert SlowStage.requested.wait(100)
        assert not left.exists()
        assert [copy.name for copy in left.parent.glob("*/*")] == ["000000"]
        (ticket,) = children(process.pid)
        os.kill(ticket, signal.SIGKILL)
        _wait_for(lambda: not list(left.parent.iterdir()))
        SlowStage.may_respond.set()


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _leave_hostile_calls(redis: Redis, address: str) -> int:
    """Leave every hostile entry before a worker starts: the number of entries that are no stale ticket."""
    leave_abandoned(redis)
    for number, name in enumerate(hostile_fields("", address)):
        ticket = f"{number:016x}"
        redis.hset(f"rq:job:{ticket}", mapping=hostile_fields(ticket, address)[name])
        redis.rpush(f"rq:queue:{QUEUE}", ticket)
    strange = (b"\xff\xfe", b"", b"../x", b"a:b", b"x" * 1000, b"f" * 16)
    redis.rpush(f"rq:queue:{QUEUE}", *strange)
    redis.set("rq:job:" + "f" * 16, "no hash")
    return len(strange)


def test_foreign_calls_are_dropped_and_a_ticket_behind_them_is_processed(
    redis: Redis, store: JobStore, tmp_path: Path, stage: str
) -> None:
    """Without the own job class of tickets, RQ runs `os.system` and callbacks that any writer to Redis names."""
    mark = tmp_path / "mark"
    with receiving() as receiver:
        strange = _leave_hostile_calls(redis, receiver.url)
        job, _ = upload(store, tmp_path, {"a.txt": b"no image"}, JobOptions("ann", "routine", "default"))
        FairScheduler(redis, store, 8).schedule("routine", "ann")
        with _working(redis, tmp_path / "store", stage, **{MARK: str(mark)}) as process:
            assert SlowStage.requested.wait(100)
            assert "Umask:\t0077" in Path(f"/proc/{process.pid}/status").read_text()
            for worker in redis.smembers("rq:workers"):
                name = as_text(worker).rpartition(":")[2]
                send_shutdown_command(redis, name)
                send_kill_horse_command(redis, name)
            SlowStage.may_respond.set()
            _wait_for(job.ended)
            assert process.poll() is None, "a worker takes no commands"
        assert receiver.received == []
    assert not mark.exists(), mark.read_text()
    log = (tmp_path / "worker.log").read_text()
    foreign = ("function", "data", "instance", "keywords", "failure", "retry", "traversal", "bomb")
    dropped = [name for name in hostile_fields("", "http://x") if any(word in name for word in foreign)]
    assert log.count("an entry of the queue is no ticket") == len(dropped) + strange
    assert TOUCH not in log, "the log names the kind, never the content"
    assert [key for key in redis.keys("rq:job:*") if key not in (b"rq:job:" + b"a" * 16, b"rq:job:" + b"b" * 16)] == []
