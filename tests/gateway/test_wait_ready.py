import subprocess
import sys
import threading
from collections.abc import Iterator
from configparser import RawConfigParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, UnixStreamServer
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

import pytest

from services.gateway.wait_ready import is_ready, main, wait_ready
from tests.running import NAMES, ROOT, free_ports

SERVICES: Final = {"cnn": "http://127.0.0.1:8002", "gateway": "http://127.0.0.1:8000"}


class Starting:
    """Services that are ready after a number of probes."""

    def __init__(self, **probes: int) -> None:
        self.left = {SERVICES[name]: count for name, count in probes.items()}

    def __call__(self, url: str) -> bool:
        self.left[url] -= 1
        return self.left[url] < 0


def test_lines_have_the_order_in_which_services_become_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert wait_ready(SERVICES, Starting(cnn=1, gateway=0), timeout_s=60) == []
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("gateway ready: http://127.0.0.1:8000 (")
    assert second.startswith("cnn ready: http://127.0.0.1:8002 (")


def test_a_service_comes_after_services_that_it_depends_on(capsys: pytest.CaptureFixture[str]) -> None:
    probed: list[str] = []

    def probe(url: str) -> bool:
        """cnn and with it the gateway become ready between two probes."""
        probed.append(url)
        return len(probed) > 1

    assert wait_ready(SERVICES, probe, timeout_s=60) == []
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["cnn", "gateway"]


def test_services_that_are_not_ready_in_time_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    assert main([f"cnn=http://127.0.0.1:{port}", f"redis=redis://127.0.0.1:{port}/0", "--wait", "0"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(";")[0] for line in lines] == [
        f"cnn is not ready after 0 s: http://127.0.0.1:{port}",
        f"redis is not ready after 0 s: redis://127.0.0.1:{port}/0",
    ]


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    """The address of a service, and the statuses of its next responses."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0) if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", statuses
        listening.shutdown()


def test_readiness_is_the_status_of_readyz(server: tuple[str, list[int]]) -> None:
    url, statuses = server
    statuses += [503, 200]
    assert not is_ready(url)
    assert is_ready(url)


@pytest.fixture
def redis() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a socket, and its next responses to PING."""
    responses: list[bytes] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            assert self.rfile.readline() == b"PING\r\n"
            self.wfile.write(responses.pop(0))

    with (
        TemporaryDirectory(prefix="a folder", dir="/tmp") as folder,  # the path of a socket has at most 107 bytes
        UnixStreamServer(str(path := Path(folder) / "redis.sock"), Handler) as listening,
    ):
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        yield f"unix://{quote(str(path))}", responses
        listening.shutdown()


def test_redis_is_ready_when_it_has_loaded_its_data(redis: tuple[str, list[bytes]]) -> None:
    url, responses = redis
    responses += [b"-LOADING Redis is loading the dataset in memory\r\n", b"-NOAUTH\r\n", b"+PONG\r\n"]
    assert [is_ready(url) for _ in range(3)] == [False, False, True]
    assert not is_ready(f"{url}x")


def test_it_imports_the_standard_library_alone() -> None:
    """It starts beside the services, on the same cores."""
    code = "import services.gateway.wait_ready, sys; print({'httpx', 'redis', 'pydantic'} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_make_run_waits_for_every_service_and_separates_logs() -> None:
    config = RawConfigParser(strict=True, comment_prefixes=";")
    config.read(ROOT / "supervisord.conf")
    awaited = {word.partition("=")[0] for word in config["program:ready"]["command"].split() if "=" in word}
    programs = ["dicom-node" if name == "node" else name for name in NAMES]
    assert awaited == {*programs, "redis"}
    assert {config[section]["umask"] for section in config.sections() if section.startswith("program:")} == {"077"}
    for name in programs:
        program = config[f"program:{name}"]
        assert (program["stdout_logfile"], program["stderr_logfile"]) == ("/dev/fd/1", "/dev/fd/2")
