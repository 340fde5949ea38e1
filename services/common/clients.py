"""Who sends a request: an id of a key, and an address."""

import re
from dataclasses import dataclass
from typing import Final

SENDER_ID: Final = re.compile(r"[A-Za-z0-9-]{1,32}")
ANONYMOUS: Final = "anybody"  # the sender of each request where no key is required; a folder of jobs has this name


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of a request and the addresses that it sends from (IPv6: a /64 network)."""

    sender: str
    address: str

    @property
    def share(self) -> str:
        """A sender with a key has one share over all its addresses; without keys each address has one."""
        return self.address if self.sender == ANONYMOUS else self.sender


LOCAL: Final = Client(ANONYMOUS, "local")  # work of this process itself
