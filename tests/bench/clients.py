"""Clients that post the same thing again and again, over connections that they keep, with as little work as can be.

They share the machine with what they measure. So, as curl does, they ask with `Expect: 100-continue` whether a large
body is wanted, instead of sending it to be thrown away.
"""

import http.client
import select
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx

from services.common.tensors import HEADER_LENGTH, FilePart, Message, encode
from services.gateway.multipart_form import FORM_FIELD

_TIMEOUT_S: Final = 600
_LARGE_BYTES: Final = 2**20
_GO_ON: Final = b"HTTP/1.1 100"
_WORD_S: Final = 1.0  # how long a word is waited for, before a body is sent without one
BROKEN: Final = 0  # in place of a status, where the connection broke


@dataclass(frozen=True)
class Call:
    """A POST to a port of this machine, its body in one piece."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answered:
    """When a call began and ended, by the clock of this process, and how; -1 stands for no Retry-After."""

    begin_s: float
    end_s: float
    status: int
    retry_after_s: float = -1

    @property
    def took_s(self) -> float:
        """From the first byte sent to the last one read."""
        return self.end_s - self.begin_s

    @property
    def good(self) -> bool:
        """Whether it was answered as it should."""
        return self.status == http.client.OK

    @property
    def refused(self) -> bool:
        """Whether it was refused as it may be: for the time being, and with a word on when to come again."""
        return self.status == http.client.SERVICE_UNAVAILABLE and self.retry_after_s >= 0


def upload(port: int, files: Mapping[str, bytes], path: str = "/v1/predictions") -> Call:
    """Files as a form, whose fields have the gateway's name."""
    request = httpx.Request("POST", f"http://127.0.0.1{path}", files=[(FORM_FIELD, item) for item in files.items()])
    return Call(port, path, {"content-type": request.headers["content-type"]}, request.read())


def inference(port: int, model: str, message: Message) -> Call:
    """Tensors to a model, as the Open Inference Protocol sends them."""
    header, parts = encode(message, "inputs")
    raw = [b"".join(part.pieces()) if isinstance(part, FilePart) else part for part in parts]
    headers = {HEADER_LENGTH: str(len(header)), "content-type": "application/octet-stream"}
    return Call(port, f"/v2/models/{model}/infer", headers, b"".join([header, *raw]))


def post(call: Call, clients: int = 1, *, each: int) -> list[Answered]:
    """Every client posts so many times, one after another."""
    return _all(call, clients, lambda done: done < each)


def post_for(call: Call, clients: int, seconds: float) -> list[Answered]:
    """Every client posts until the time is over; what is under way then is waited for."""
    end = time.perf_counter() + seconds
    return _all(call, clients, lambda _: time.perf_counter() < end)


def took_s(call: Call) -> float:
    """One post that must succeed."""
    (answer,) = post(call, each=1)
    assert answer.good, f"{call.path} answered {answer.status}"
    return answer.took_s


def _all(call: Call, clients: int, more: Callable[[int], bool]) -> list[Answered]:
    with ThreadPoolExecutor(clients) as persons:
        pending = [persons.submit(partial(_client, call, more)) for _ in range(clients)]
        return [answer for each in pending for answer in each.result()]


def _client(call: Call, more: Callable[[int], bool]) -> list[Answered]:
    answers: list[Answered] = []
    connection = http.client.HTTPConnection("127.0.0.1", call.port, timeout=_TIMEOUT_S)
    while more(len(answers)):
        answers.append(_post(connection, call))
        time.sleep(max(answers[-1].retry_after_s, 0))
    connection.close()
    return answers


def _post(connection: http.client.HTTPConnection, call: Call) -> Answered:
    begin = time.perf_counter()
    try:
        sent = _send(connection, call)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        sent, answer = False, None
    if not sent:  # a body that is not sent would be waited for
        connection.close()
    if answer is None:
        return Answered(begin, time.perf_counter(), BROKEN)
    return Answered(begin, time.perf_counter(), answer.status, float(answer.headers.get("retry-after", -1)))


def _send(connection: http.client.HTTPConnection, call: Call) -> bool:
    """False where a large body was not wanted; what is refused before all is sent has its answer nonetheless."""
    large = len(call.body) > _LARGE_BYTES
    connection.putrequest("POST", call.path)
    for name, value in {**call.headers, "content-length": str(len(call.body))}.items():
        connection.putheader(name, value)
    if large:
        connection.putheader("expect", "100-continue")
    connection.endheaders()
    if large and not _wanted(connection):
        return False
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(call.body)
    return True


def _wanted(connection: http.client.HTTPConnection) -> bool:
    """Whether the first word is to go on, which `getresponse` passes over; where none comes, too."""
    ready, _, _ = select.select([connection.sock], [], [], _WORD_S)
    return not ready or connection.sock.recv(len(_GO_ON), socket.MSG_PEEK) == _GO_ON
