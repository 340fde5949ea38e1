"""The sender of a request as a dependency, and the role that a route requires."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.routing import BaseRoute

from services.common.clients import Client
from services.common.connections.client_address import Proxies, address_group, peer_of
from services.common.identity.api_keys import ApiKeys
from services.common.identity.principal import EVERYONE, Principal, Role
from services.common.identity.problems import MissingRole, ProviderUnavailable, Unauthorized
from services.common.identity.proxy_headers import ProxyHeaders, UntrustedHeader
from services.common.identity.settings import IdentitySettings
from services.common.problem_schemas import add_problem, extend_openapi
from services.common.problems import NotReady, Problem

if TYPE_CHECKING:
    from services.common.identity.oidc.verifier import TokenVerifier

BEARER: Final = HTTPBearer(
    auto_error=False, scheme_name="key", description="an API key, or an access token of the site's OpenID provider"
)
_TOKEN: Final = re.compile(r"eyJ[^.]*\.[^.]*\.[^.]*\Z")  # a JWS in compact serialization; its header begins with {"
_REFUSALS: Final = (
    UntrustedHeader("only the proxies of this site may send 'X-Forwarded-User' and its roles: leave them out, or ..."),
    ProviderUnavailable("the OpenID provider's signing keys cannot be fetched; send the request again"),
)
_NO_ROLES: Final = Principal("ann", frozenset())


Admit = Callable[[Request, Client], Awaitable[None]]
"""Counts a client's request, before its body is read; raises a Problem where it refuses the request."""


class Identity:
    """Finds the principal of each request, by the ways that a site has set up: all of them may be at once."""

    def __init__(
        self, keys: ApiKeys, tokens: "TokenVerifier | None" = None, proxy_headers: ProxyHeaders | None = None
    ) -> None:
        self.keys, self.tokens, self._proxy_headers = keys, tokens, proxy_headers
        self.required = keys.required or tokens is not None or proxy_headers is not None
        self.admit: Admit | None = None

    @classmethod
    def create(cls, settings: IdentitySettings) -> "Identity":
        """The ways of a site's settings.

        Raises
        ------
        ValueError
            the file of keys has a malformed line
        OSError
            a file cannot be read
        """
        tokens = proxy_headers = None
        if settings.oidc_issuer:
            from services.common.identity.oidc.create import token_verifier  # noqa: PLC0415 - joserfc takes 10 MB

            tokens = token_verifier(settings)
        if settings.identity_header:
            proxies = Proxies(settings.proxies)
            proxy_headers = ProxyHeaders(
                proxies, settings.identity_header, settings.roles_header, settings.roles_prefix
            )
        return cls(ApiKeys.read(settings.senders_file), tokens, proxy_headers)

    async def principal(self, request: Request, bearer: str | None) -> Principal:
        """The principal of a request.

        Raises
        ------
        Unauthorized
            the credential is missing, unknown, forged or stale
        TooManyWrongKeys
            the address has sent too many unknown keys
        ProviderUnavailable
            tokens cannot be verified now
        UntrustedHeader
            the request names a user, and does not come from a trusted proxy
        """
        if not self.required:
            return EVERYONE
        if self._proxy_headers and (found := self._proxy_headers.principal(peer_of(request.scope), request.headers)):
            return found
        if bearer and self.tokens and _TOKEN.match(bearer):
            return await self.tokens.principal(bearer)
        if self.keys.required:
            return self.keys.principal(bearer, _address(request))
        raise Unauthorized("send the header 'Authorization: Bearer TOKEN' with an access token, or log in at the proxy")

    def check_ready(self) -> None:
        """Raise NotReady where no request can be served: tokens are the only way, and no keys verify them."""
        if self.tokens and not self.keys.required and not self._proxy_headers and not self.tokens.keys.usable:
            message = "the OpenID provider's signing keys cannot be fetched"
            raise NotReady(message, cause=ProviderUnavailable.code)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the provider's signing keys until the context ends."""
        if self.tokens is None:
            yield
            return
        async with self.tokens.keys.running():
            yield


async def authenticate(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
) -> Principal:
    """Who sends a request, as a dependency. The audit log reads the id and the way too."""
    identity: Identity = request.app.state.identity
    principal = await identity.principal(request, credentials.credentials if credentials else None)
    request.state.sender, request.state.way = principal.id, principal.way
    if identity.admit:
        await identity.admit(request, Client(principal.id, _address(request)))
    return principal


def identify(request: Request, principal: Annotated[Principal, Depends(authenticate)]) -> Client:
    """A request's sender and address: a dependency of each route that shares something among clients."""
    return Client(principal.id, _address(request))


StillValid = Callable[[], Awaitable[bool]]


def still_valid(request: Request, principal: Annotated[Principal, Depends(authenticate)]) -> StillValid:
    """Whether a request's credential still gives its principal, as a dependency of responses that last."""
    identity: Identity = request.app.state.identity

    async def check() -> bool:
        credentials = await BEARER(request)
        try:
            return await identity.principal(request, credentials.credentials if credentials else None) == principal
        except Problem:
            return False

    return check


@dataclass(frozen=True, slots=True)
class Requirement:
    """A dependency that refuses principals without a role."""

    role: Role

    async def __call__(self, principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        """Raise MissingRole for a principal without the role."""
        if not principal.has(self.role):
            raise MissingRole.of(principal, self.role)
        return principal


def requires(role: Role) -> Any:
    """The role of a route, as one of its `dependencies`."""
    return Depends(Requirement(role))


def required_role(route: APIRoute) -> Role | None:
    """The role that a route requires; None where it asks for none.

    Raises
    ------
    ValueError
        it names several
    """
    calls = [dependency.call for dependency in route.dependant.dependencies]
    roles = [call.role for call in calls if isinstance(call, Requirement)]
    if len(roles) > 1:
        raise ValueError(f"{route.path} requires the roles {', '.join(roles)}: name one")
    return roles[0] if roles else None


def add_identity(app: FastAPI, identity: Identity) -> None:
    """Let an application's routes find their principals, and declare roles and credentials in its document."""
    app.state.identity = identity
    extend_openapi(app, lambda document: _declare_roles(app, document))
    if not identity.required:
        extend_openapi(app, _mark_optional)


def api_routes(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """All routes of the API, with those of included routers."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(router := getattr(route, "original_router", None), APIRouter):
            yield from api_routes(router.routes)


def _declare_roles(app: FastAPI, document: dict[str, Any]) -> None:
    """Declare the refusals of credentials in each operation that requires a role."""
    for route in api_routes(app.routes):
        role = required_role(route)
        if role is not None:
            for method, problem in product(route.methods or (), (MissingRole.of(_NO_ROLES, role), *_REFUSALS)):
                add_problem(document["paths"][route.path][method.lower()], problem)


def _mark_optional(document: dict[str, Any]) -> None:
    """Declare the credential as optional in every operation."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        if security := operation.get("security"):
            security.append({})


def _address(request: Request) -> str:
    return address_group(request.client.host if request.client else None)
