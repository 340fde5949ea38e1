import threading
from collections.abc import Iterator
from configparser import RawConfigParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

import pytest

from services.gateway.wait_ready import announce, is_ready, main
from tests.running import NAMES, ROOT, free_ports

SERVICES: Final = {"cnn": "http://127.0.0.1:8002", "gateway": "http://127.0.0.1:8000"}


class Starting:
    """Services that are ready at the n-th question."""

    def __init__(self, **asked: int) -> None:
        self.left = {SERVICES[name]: count for name, count in asked.items()}

    def __call__(self, url: str) -> bool:
        self.left[url] -= 1
        return self.left[url] < 0


def test_a_line_a_service_in_the_order_in_which_they_become_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert announce(SERVICES, Starting(cnn=1, gateway=0), wait_s=60) == []
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("gateway ready: http://127.0.0.1:8000 (")
    assert second.startswith("cnn ready: http://127.0.0.1:8002 (")


def test_a_service_comes_after_those_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def ready(url: str) -> bool:
        """cnn turns ready between two questions, and the gateway with it."""
        asked.append(url)
        return len(asked) > 1

    assert announce(SERVICES, ready, wait_s=60) == []
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["cnn", "gateway"]


def test_one_that_never_comes_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    assert main([f"cnn=http://127.0.0.1:{port}", f"redis=redis://127.0.0.1:{port}/0", "--wait", "0"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(";")[0] for line in lines] == [
        f"cnn is not ready after 0 s: http://127.0.0.1:{port}",
        f"redis is not ready after 0 s: redis://127.0.0.1:{port}/0",
    ]


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    """A service, and the status of its next answers."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0) if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", statuses
        listening.shutdown()


def test_ready_is_what_the_probe_says(server: tuple[str, list[int]]) -> None:
    url, statuses = server
    statuses += [503, 200]
    assert not is_ready(url)
    assert is_ready(url)


def test_make_run_announces_every_service_and_keeps_logs_apart() -> None:
    config = RawConfigParser(strict=True, comment_prefixes=";")
    config.read(ROOT / "supervisord.conf")
    announced = {word.partition("=")[0] for word in config["program:ready"]["command"].split() if "=" in word}
    assert announced == {*NAMES, "redis"}
    for name in NAMES:
        program = config[f"program:{name}"]
        assert (program["stdout_logfile"], program["stderr_logfile"]) == ("/dev/fd/1", "/dev/fd/2")
