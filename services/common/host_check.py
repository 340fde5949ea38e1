"""ASGI middleware against DNS rebinding: requests must name a host of this service (RFC 9110, section 7.2).

A page of `evil.example.org` whose name points to 127.0.0.1 is of the same origin as this service, for a browser.
"""

import re
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.common.error_handlers import problem_response
from services.common.problems import Problem

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
_EXEMPT: Final = ("/livez", "/readyz", "/metrics")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]*)?", re.ASCII)
_SHOWN_CHARACTERS: Final = 100


class UnknownHost(Problem):
    status = 421
    code = "unknown_host"
    title = "The request names another host"


class HostMiddleware:
    """Refuses requests whose Host is not one of `hosts`, whatever its port. Probes and metrics take any host.

    Parameters
    ----------
    setting : name of the setting that adds hosts, for the message
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], service: str, setting: str) -> None:
        self._app = app
        self._hosts = hosts
        self._service = service
        self._setting = setting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _path(scope) in _EXEMPT:
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).getlist("host")
        if len(sent) == 1 and host_name(sent[0]) in self._hosts:
            await self._app(scope, receive, send)
            return
        named = repr(sent[0][:_SHOWN_CHARACTERS]) if sent else "none"
        detail = f"the header Host names {named}, which is no host of this {self._service}; add it to {self._setting}"
        await problem_response(UnknownHost(detail))(scope, receive, send)


def bound_host(host: str) -> str:
    """The address that a service binds as a Host header names it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host.lower()


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def host_name(header: str) -> str | None:
    """The host in a Host header, in lower case and without the port; None where it is malformed."""
    match = _HOST.fullmatch(header.lower())
    return match[1].removesuffix(".") if match else None
