"""The user in a header of a proxy that authenticates users, believed from the proxies of the settings only."""

from typing import Final

from starlette.datastructures import Headers

from services.common.connections.client_address import Proxies
from services.common.identity.principal import DEFAULT_ROLES, Principal, Role, roles_in
from services.common.identity.sender_ids import sender_id
from services.common.problems import BadRequest

_MAX_NAME: Final = 256


class UntrustedHeader(BadRequest):
    code = "untrusted_identity_header"
    title = "The request names a user, and does not come from a trusted proxy"


class ProxyHeaders:
    """Reads the user and the roles of a request.

    Parameters
    ----------
    roles_header : name of the header with roles, separated by commas; None where each user has `submit` and `read`
    roles_prefix : text before each role
    """

    def __init__(
        self, proxies: Proxies, identity_header: str, roles_header: str | None, roles_prefix: str = ""
    ) -> None:
        self._proxies, self._identity, self._roles, self._prefix = proxies, identity_header, roles_header, roles_prefix

    def principal(self, peer: str, headers: Headers) -> Principal | None:
        """The user of a request; None where the proxy names none.

        Parameters
        ----------
        peer : address of the connection, before forwarded addresses are read

        Raises
        ------
        UntrustedHeader
            the peer is no trusted proxy, and sends one of the headers
        BadRequest
            a header is repeated, or the name is too long
        """
        name, roles = self._single(headers, self._identity), self._single(headers, self._roles)
        if peer not in self._proxies:
            if name is not None or roles is not None:
                raise UntrustedHeader(
                    f"only the proxies of this site may send {self._identity!r} and its roles: leave them out, or name "
                    "the proxy's address in the setting proxies"
                )
            return None
        if not name:
            return None
        if len(name) > _MAX_NAME:
            raise BadRequest(f"the header {self._identity!r} is longer than {_MAX_NAME} characters")
        return Principal(sender_id("proxy", name), self._roles_of(roles), "proxy")

    def _single(self, headers: Headers, header: str | None) -> str | None:
        values = headers.getlist(header) if header else []
        if len(values) > 1:
            raise BadRequest(f"the header {header!r} is repeated: the proxy must replace the client's")
        return values[0].strip() if values else None

    def _roles_of(self, text: str | None) -> frozenset[Role]:
        if self._roles is None:
            return DEFAULT_ROLES
        return roles_in([word.strip() for word in (text or "").split(",")], self._prefix)
