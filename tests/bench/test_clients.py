from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.bench.clients import STUDY_UID, Call, fresh, post, post_for, took_s, upload
from tests.running import free_ports


class _Server(BaseHTTPRequestHandler):
    """The path selects the status: 200, 503 or 500."""

    protocol_version = "HTTP/1.1"

    def handle_expect_100(self) -> bool:
        if self.path == "/good":
            return super().handle_expect_100()
        self.do_POST(unread=True)
        return False

    def do_POST(self, *, unread: bool = False) -> None:
        if not unread:
            self.rfile.read(int(self.headers["content-length"]))
        self.send_response({"/good": 200, "/busy": 503, "/rude": 503}.get(self.path, 500))
        if self.path == "/busy":
            self.send_header("retry-after", "0")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """No log."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_every_client_posts_the_given_number_of_times(port: int) -> None:
    answers = post(_call(port, "/good"), 3, each=4)
    assert len(answers) == 12
    assert all(answer.ok and answer.took_s > 0 for answer in answers)
    assert took_s(_call(port, "/good")) > 0


def test_clients_stop_when_the_time_is_over(port: int) -> None:
    answers = post_for(_call(port, "/good"), 2, 0.2)
    assert len(answers) >= 2
    assert max(answer.begin_s for answer in answers) - min(answer.begin_s for answer in answers) < 0.3


def test_a_refusal_needs_retry_after(port: int) -> None:
    busy, rude, wrong = (post(_call(port, path), each=1)[0] for path in ("/busy", "/rude", "/wrong"))
    assert busy.refused
    assert not rude.refused
    assert not wrong.refused
    assert not any(answer.ok for answer in (busy, rude, wrong))


def test_a_broken_connection_is_an_error() -> None:
    (answer,) = post(_call(free_ports(1)[0], "/good"), each=1)
    assert not answer.ok
    assert not answer.refused


def test_a_large_body_is_sent_after_100_continue(port: int) -> None:
    large = b"x" * 2**21
    for path in ("/good", "/busy"):
        answers = post(Call(port, path, {}, large), 2, each=3)
        assert len(answers) == 6
        assert all(answer.ok == (path == "/good") and answer.refused != answer.ok for answer in answers)


def test_an_upload_is_a_multipart_form() -> None:
    call = upload(1, {"one.dcm": b"pixels"})
    assert b'filename="one.dcm"' in call.body
    assert call.headers["content-type"].startswith("multipart/form-data; boundary=")


def test_a_fresh_study_has_uids_of_its_own_of_the_same_length() -> None:
    call = Call(1, "/", {}, f"{STUDY_UID}.1 {STUDY_UID}.2".encode())
    first, second = fresh(call).body.split(), fresh(call).body.split()
    assert len({*first, *second, *call.body.split()}) == 6
    assert first[0].removesuffix(b".1") == first[1].removesuffix(b".2")
    assert len(fresh(call).body) == len(call.body)


def _call(port: int, path: str) -> Call:
    return Call(port, path, {}, b"body")
