"""The addresses that a site allows for webhooks."""

from collections.abc import Sequence
from typing import Final

import httpx

from services.common.problems import BadRequest

_AMBIGUOUS: Final = ("..", "//", "\\", "%2e", "%2f", "%5c")  # other software may normalise such a path differently
_PORTS: Final = {"https": 443, "http": 80}
Origin = tuple[str, str, int]  # scheme, host, port


class WebhookRefused(BadRequest):
    code = "webhook_refused"
    title = "This address is not allowed for webhooks"


class AllowedAddresses:
    """Allows addresses with scheme, host and port of a listed one, and its path or a path below it.

    Plain http is allowed only where a listed address has it.

    Raises
    ------
    ValueError
        a listed address cannot be that of a webhook
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._allowed = [parse_address(address) for address in addresses]

    def check(self, address: str) -> None:
        """WebhookRefused where the site does not allow the address."""
        try:
            origin, path = parse_address(address)
        except ValueError as error:
            raise WebhookRefused(str(error)) from error
        for allowed, prefix in self._allowed:
            if origin == allowed and (path == prefix or path.startswith(f"{prefix.rstrip('/')}/")):
                return
        raise WebhookRefused("the webhook's address is not on this site's list; ask the site to allow it")


def parse_address(address: str) -> tuple[Origin, str]:
    """(scheme, host, port) and path; ValueError where the address cannot be that of a webhook."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise ValueError("a webhook is an absolute http or https address") from error
    if url.scheme not in _PORTS or not url.host:
        raise ValueError("a webhook is an absolute http or https address")
    if url.userinfo or url.fragment:
        raise ValueError("a webhook's address has no password and no fragment")
    path = url.raw_path.decode().partition("?")[0]
    if any(part in path.lower() for part in _AMBIGUOUS) or "\\" in address:
        raise ValueError("a webhook's path has no '..', '//', backslash or escaped '.', '/' or backslash")
    return (url.scheme, url.host.lower(), url.port or _PORTS[url.scheme]), path or "/"
