"""Hostile multipart bodies: many parts, many headers, long headers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.attack.attack import Attack, Outcome, Target, refused_within

_LIMIT_S: Final = 5.0
_LIMIT: Final = "4xx in 5 s"
_TYPE: Final = "multipart/form-data; boundary=b"
_END: Final = b"--b--\r\n"
_FILE: Final = b'Content-Disposition: form-data; name="files"; filename="a.dcm"'


def _body(*headers: bytes, count: int, data: bytes = b"") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return (b"--b\r\n" + lines + b"\r\n" + data + b"\r\n") * count + _END


def _post(make: Callable[[], bytes], path: str = "/v1/predictions") -> Callable[[Target], Outcome]:
    """The attack that sends one body, made before the time begins."""

    def run(target: Target) -> Outcome:
        body = make()
        return refused_within(_LIMIT_S, lambda: target.post(body, _TYPE, path))

    return run


def _together(target: Target) -> Outcome:
    """Twenty bodies of as many empty parts as an upload may have files."""
    body = _body(count=400_000)
    with ThreadPoolExecutor(20) as senders:
        found = list(senders.map(lambda _: _post(lambda: body)(target), range(20)))
    return Outcome(max(found, key=lambda one: not one.held).answer, all(one.held for one in found))


def _headers_of_one_part() -> bytes:
    return b"--b\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(500_000)) + b"\r\n\r\n" + _END


ATTACKS: Final = (
    Attack("multipart: 400,000 empty parts", _LIMIT, _post(lambda: _body(count=400_000))),
    Attack("multipart: job of 400,000 empty parts", _LIMIT, _post(lambda: _body(count=400_000), path="/v1/jobs")),
    Attack(
        "multipart: 100,000 empty fields",
        _LIMIT,
        _post(lambda: _body(b'Content-Disposition: form-data; name="note"', count=100_000)),
    ),
    Attack("multipart: 100,000 files without data", _LIMIT, _post(lambda: _body(_FILE, count=100_000))),
    Attack("multipart: 500,000 headers of one part", _LIMIT, _post(_headers_of_one_part)),
    Attack("multipart: a header of 50 MB", _LIMIT, _post(lambda: _body(b"X: " + bytes(50_000_000), count=1))),
    Attack("multipart: 2,000 names of 4 kB", _LIMIT, _post(lambda: _body(_FILE[:-1] + b"n" * 4000 + b'"', count=2000))),
    Attack(
        "multipart: a disposition of 4,000 parameters, 1,000 times",
        _LIMIT,
        _post(lambda: _body(_FILE + b"; filename*=utf-8''a" + b";" * 4000, count=1000)),
    ),
    Attack("multipart: twenty bodies of 400,000 empty parts at a time", _LIMIT, _together),
)
