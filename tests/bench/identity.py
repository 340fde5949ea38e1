"""`python -m tests.bench.identity`: processor time of a request by its credential, in alternating rounds.

Each request passes FastAPI and a route with a role. `none` needs no credential; the others are read as differences.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI

from services.common.identity.api_keys import ApiKeys
from services.common.identity.authentication import Identity, add_identity, authenticate, requires
from services.common.identity.key_lines import StoredKey, hash_key
from services.common.identity.new_keys import new_key
from services.common.identity.principal import DEFAULT_ROLES, Principal
from tests.common.identity.oidc.issuer import EC, Issuer, claims, token, verifier

_ROUNDS: Final = 40
_REQUESTS: Final = 50
_MS: Final = 1e-6  # of a nanosecond


def app_of(identity: Identity) -> FastAPI:
    """An application with one route."""
    app = FastAPI()
    add_identity(app, identity)

    @app.get("/", dependencies=[requires("read")])
    async def route(principal: Annotated[Principal, Depends(authenticate)]) -> str:
        return principal.id

    return app


async def request(app: FastAPI, credential: str | None) -> None:
    """One GET, which must be served."""
    headers = [(b"authorization", f"Bearer {credential}".encode())] if credential else []
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}
    scope |= {"client": ("192.0.2.1", 1), "server": ("localhost", 80), "scheme": "http", "http_version": "1.1"}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200, message

    await app(scope, receive, send)


async def cpu_ms(app: FastAPI, credentials: Callable[[], list[str | None]]) -> float:
    """Processor time of a request, in milliseconds."""
    given = credentials()
    begin = time.process_time_ns()
    for credential in given:
        await request(app, credential)
    return (time.process_time_ns() - begin) * _MS / len(given)


async def measure() -> Mapping[str, float]:
    """The median of each kind of credential over all rounds."""
    key = new_key("ann")
    keys = ApiKeys({hash_key(key): StoredKey(hash_key(key), "ann", DEFAULT_ROLES)})
    none, by_key, by_token = (
        app_of(Identity(ApiKeys(None))),
        app_of(Identity(keys)),
        app_of(Identity(keys, verifier(Issuer()))),
    )
    seen, number = token(), 0

    def fresh(**options: Any) -> list[str | None]:
        nonlocal number
        number += 1
        return [token(claims(jti=f"{number} {one}"), **options) for one in range(_REQUESTS)]

    kinds: dict[str, tuple[FastAPI, Callable[[], list[str | None]]]] = {
        "none": (none, lambda: [None] * _REQUESTS),
        "key": (by_key, lambda: [key] * _REQUESTS),
        "token, seen before": (by_token, lambda: [seen] * _REQUESTS),
        "token, new, RS256": (by_token, fresh),
        "token, new, ES256": (by_token, lambda: fresh(key=EC, algorithm="ES256", kid="two")),
    }
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(_ROUNDS):
        for name, (app, credentials) in kinds.items():
            found[name].append(await cpu_ms(app, credentials))
    return {name: median(values) for name, values in found.items()}


def main() -> None:
    """Print the table."""
    found = asyncio.run(measure())
    for name, value in found.items():
        print(f"{name:20} {value:.3f} ms a request, {value - found['none']:+.3f} ms")


if __name__ == "__main__":
    main()
