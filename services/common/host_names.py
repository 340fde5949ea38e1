"""Names of hosts in settings."""

import re
from typing import Final

_HOST_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")


def checked_host_names(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a setting; ValueError where one is no exact host in lower case, without a port."""
    for host in hosts:
        if not _HOST_NAME.fullmatch(host):
            raise ValueError(
                f"{host!r} is no host such as 'ct.example.org', '192.0.2.7' or '[2001:db8::7]', in lower case and "
                "without a port; '*' would let every page in a user's browser read this service's responses"
            )
    return hosts
