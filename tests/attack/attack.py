"""An attack: one row of the table, and what it may use of the running product."""

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from services.gateway.uploads.multipart_form import FORM_FIELD
from tests.running import Service

ATTACKER_ADDRESS: Final = "127.0.0.2"
NEIGHBOUR_ADDRESS: Final = "127.0.0.1"
ATTACKER_KEY: Final = "attacker-0123456789"
NEIGHBOUR_KEY: Final = "neighbour-0123456789"
CROWD_KEYS: Final = tuple(f"crowd-{number}-0123456789" for number in range(6))  # of further attackers
SENDERS: Final = f"attacker {ATTACKER_KEY}\nneighbour {NEIGHBOUR_KEY}\n" + "".join(
    f"crowd{number} {key}\n" for number, key in enumerate(CROWD_KEYS)
)
TIMEOUT_S: Final = 120.0  # far beyond every limit: a row that hangs fails by its time


@dataclass(frozen=True)
class Outcome:
    """The product's answer to an attack, in a few words, and whether the limit of the row held."""

    answer: str
    held: bool


@dataclass(frozen=True)
class Target:
    """The running product. The gateway asks for keys, and its address space is limited to 600 MB."""

    service: Service

    @property
    def port(self) -> int:
        """The port of the gateway on 127.0.0.1."""
        return self.service.ports["gateway"]

    def client(self, key: str | None = ATTACKER_KEY, address: str = ATTACKER_ADDRESS) -> httpx.Client:
        """A client that sends from an address of 127.0.0.0/8."""
        return client(self.service.url, key, address)

    def connect(self, address: str = ATTACKER_ADDRESS) -> socket.socket:
        """A bare connection to the gateway from an address of 127.0.0.0/8; OSError where it is refused."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(address, 0))

    def upload(self, files: Sequence[tuple[str, bytes]], path: str = "/v1/predictions") -> httpx.Response:
        """The answer to an upload of files by name and content."""
        with self.client() as attacker:
            return attacker.post(path, files=[(FORM_FIELD, file) for file in files])

    def post(self, body: bytes, content_type: str, path: str = "/v1/predictions") -> httpx.Response:
        """The answer to any body."""
        with self.client() as attacker:
            return attacker.post(path, content=body, headers={"content-type": content_type})


@dataclass(frozen=True)
class Attack:
    """One row.

    name : of the attack, with its size
    limit : the condition that `run` checks, in a few words
    run : attacks, and returns when it has its answer
    """

    name: str
    limit: str
    run: Callable[[Target], Outcome]


def client(url: str, key: str | None, address: str) -> httpx.Client:
    """A client with a sender's key that sends from an address."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, transport=transport, trust_env=False)


def refused_within(seconds: float, send: Callable[[], httpx.Response], *statuses: int) -> Outcome:
    """Whether a request is refused with one of these statuses, or any 4xx, within a time."""
    begin = time.monotonic()
    try:
        answer = send()
    except httpx.TransportError as error:
        return Outcome(type(error).__name__, held=False)
    took = time.monotonic() - begin
    expected = answer.status_code in statuses if statuses else answer.is_client_error
    return Outcome(f"{describe(answer)} in {took:.1f} s", held=expected and took < seconds)


def describe(answer: httpx.Response) -> str:
    """The status and problem code of a response."""
    problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    return f"{answer.status_code} {answer.json()['code']}" if problem else str(answer.status_code)
