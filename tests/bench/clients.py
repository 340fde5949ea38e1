"""HTTP clients that repeat one POST over persistent connections, with little work of their own.

They share the machine with the product. Like curl, they send a large body only after `100 Continue`, so that refused
bodies cost no time.
"""

import http.client
import select
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Final

import httpx

from services.common.tensors import HEADER_LENGTH, FilePart, Message, encode
from services.gateway.uploads.multipart_form import FORM_FIELD

_TIMEOUT_S: Final = 600
_LARGE_BYTES: Final = 2**20
_CONTINUE: Final = b"HTTP/1.1 100"
_CONTINUE_S: Final = 1.0  # wait for `100 Continue`, then send the body without it
STUDY_UID: Final = "2.25.900000000"  # the root of all UIDs of a study, which `fresh` replaces
_NUMBERS: Final = count(900000001)  # as long
BROKEN: Final = 0  # status of a broken connection


@dataclass(frozen=True)
class Call:
    """A POST to a port of this machine."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """Begin, end and status of a call; `retry_after_s` is -1 without the header."""

    begin_s: float
    end_s: float
    status: int
    retry_after_s: float = -1

    @property
    def took_s(self) -> float:
        """Seconds from the first byte sent to the last byte read."""
        return self.end_s - self.begin_s

    @property
    def ok(self) -> bool:
        """Whether the status is 200."""
        return self.status == http.client.OK

    @property
    def refused(self) -> bool:
        """Whether the status is 503, with `Retry-After`."""
        return self.status == http.client.SERVICE_UNAVAILABLE and self.retry_after_s >= 0


def upload(port: int, files: Mapping[str, bytes], path: str = "/v1/predictions") -> Call:
    """An upload of files to the gateway."""
    request = httpx.Request("POST", f"http://127.0.0.1{path}", files=[(FORM_FIELD, item) for item in files.items()])
    return Call(port, path, {"content-type": request.headers["content-type"]}, request.read())


def fresh(call: Call) -> Call:
    """The same upload as a study that the product has not seen: it keeps the headers that it read last."""
    uid = f"2.25.{next(_NUMBERS)}"
    return replace(call, body=call.body.replace(STUDY_UID.encode(), uid.encode()))


def inference(port: int, model: str, message: Message) -> Call:
    """A request of the Open Inference Protocol."""
    header, parts = encode(message, "inputs")
    raw = [b"".join(part.pieces()) if isinstance(part, FilePart) else part for part in parts]
    headers = {HEADER_LENGTH: str(len(header)), "content-type": "application/octet-stream"}
    return Call(port, f"/v2/models/{model}/infer", headers, b"".join([header, *raw]))


def post(call: Call, clients: int = 1, *, each: int) -> list[Outcome]:
    """Each client posts `each` times, one after another."""
    return _all(call, clients, lambda done: done < each)


def post_for(call: Call, clients: int, seconds: float) -> list[Outcome]:
    """Each client posts until the time is over, and waits for its last response."""
    end = time.perf_counter() + seconds
    return _all(call, clients, lambda _: time.perf_counter() < end)


def took_s(call: Call) -> float:
    """Seconds of one successful post."""
    (answer,) = post(call, each=1)
    assert answer.ok, f"{call.path} answered {answer.status}"
    return answer.took_s


def _all(call: Call, clients: int, more: Callable[[int], bool]) -> list[Outcome]:
    with ThreadPoolExecutor(clients) as pool:
        pending = [pool.submit(partial(_client, call, more)) for _ in range(clients)]
        return [answer for each in pending for answer in each.result()]


def _client(call: Call, more: Callable[[int], bool]) -> list[Outcome]:
    answers: list[Outcome] = []
    connection = http.client.HTTPConnection("127.0.0.1", call.port, timeout=_TIMEOUT_S)
    while more(len(answers)):
        answers.append(_post(connection, call))
        time.sleep(max(answers[-1].retry_after_s, 0))
    connection.close()
    return answers


def _post(connection: http.client.HTTPConnection, call: Call) -> Outcome:
    begin = time.perf_counter()
    try:
        sent = _send(connection, call)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        sent, answer = False, None
    if not sent:  # the server still waits for the body
        connection.close()
    if answer is None:
        return Outcome(begin, time.perf_counter(), BROKEN)
    return Outcome(begin, time.perf_counter(), answer.status, float(answer.headers.get("retry-after", -1)))


def _send(connection: http.client.HTTPConnection, call: Call) -> bool:
    """Send a request; False where the server refused a large body."""
    large = len(call.body) > _LARGE_BYTES
    connection.putrequest("POST", call.path)
    for name, value in {**call.headers, "content-length": str(len(call.body))}.items():
        connection.putheader(name, value)
    if large:
        connection.putheader("expect", "100-continue")
    connection.endheaders()
    if large and not _may_send_body(connection):
        return False
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(call.body)
    return True


def _may_send_body(connection: http.client.HTTPConnection) -> bool:
    """Whether the server answers `100 Continue`, which `getresponse` skips, or nothing."""
    ready, _, _ = select.select([connection.sock], [], [], _CONTINUE_S)
    return not ready or connection.sock.recv(len(_CONTINUE), socket.MSG_PEEK) == _CONTINUE
