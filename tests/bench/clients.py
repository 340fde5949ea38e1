"""Clients that post the same thing again and again, over connections that they keep, with as little work as can be."""

import http.client
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx

from services.common.tensors import HEADER_LENGTH, FilePart, Message, encode
from services.gateway.uploads import FORM_FIELD

_TIMEOUT_S: Final = 600
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
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent: the answer is there
            connection.request("POST", call.path, call.body, dict(call.headers))
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return Answered(begin, time.perf_counter(), BROKEN)
    return Answered(begin, time.perf_counter(), answer.status, float(answer.headers.get("retry-after", -1)))
