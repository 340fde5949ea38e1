import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from redis import Redis

from services.common.schemas import HeadersReport
from services.gateway.jobs.scheduler import FairScheduler
from services.gateway.jobs.store import JobOptions, JobStore
from services.gateway.jobs.worker import main
from tests.gateway.jobs.making import headers_answer, upload
from tests.running import ROOT, free_ports

WORKER = [sys.executable, "-m", "services.gateway.jobs.worker"]


def test_a_queue_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["urgent", "sometimes"])
    assert ended.value.code == 2
    assert "sometimes" in capsys.readouterr().err


def test_without_a_queue_it_says_so_and_ends() -> None:
    (port,) = free_ports(1)
    environment = {**os.environ, "ICH_GATEWAY_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    ended = subprocess.run(WORKER, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Redis cannot be reached" in ended.stderr


def test_a_worker_needs_neither_networks_nor_pictures() -> None:
    packages = ("tensorflow", "keras", "numpy", "PIL", "pydicom")
    look = f"import sys, services.gateway.jobs.worker; print([name for name in {packages} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


class SlowStage(BaseHTTPRequestHandler):
    """preprocess, which finds no series in anything; it answers when it is let."""

    protocol_version = "HTTP/1.1"
    asked = threading.Event()
    let = threading.Event()

    def do_GET(self) -> None:
        self._answer({"content-length": "2"}, b"{}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.set()
        self.let.wait(60)
        self._answer(*headers_answer(HeadersReport()))

    def _answer(self, headers: dict[str, str], body: bytes) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stage() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowStage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextmanager
def _working(redis: Redis, folder: Path, stage: str) -> Iterator[subprocess.Popen[bytes]]:
    port = redis.connection_pool.connection_kwargs["port"]
    names = ("PREPROCESS_URL", "CNN_URL", "RNN_URL")
    settings = {**dict.fromkeys(names, stage), "REDIS_URL": f"redis://127.0.0.1:{port}/0", "JOBS_DIR": str(folder)}
    environment = {**os.environ, **{f"ICH_GATEWAY_{name}": value for name, value in settings.items()}}
    with subprocess.Popen([*WORKER, "routine"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_signal_ends_a_worker_when_the_work_in_hand_is_done(
    redis: Redis, store: JobStore, tmp_path: Path, stage: str
) -> None:
    job, _ = upload(store, tmp_path, {"a.txt": b"no image"}, JobOptions("ann", "routine", "default"))
    FairScheduler(redis, store, 8).schedule("routine", "ann")
    with _working(redis, tmp_path / "store", stage) as process:
        assert SlowStage.asked.wait(100)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        SlowStage.let.set()
        assert process.wait(100) == 0
    ended = job.ended()
    assert ended
    assert ended.status == "failed"
    assert redis.keys("ich:lane:*") == redis.keys("ich:tries:*") == []
