"""The sender of a request with its roles."""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import Final, Literal, get_args

from services.common.clients import ANONYMOUS

Role = Literal["submit", "read", "read_all", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
Way = Literal["key", "token", "proxy", "none"]
DEFAULT_ROLES: Final[frozenset[Role]] = frozenset(("submit", "read"))
"""Of keys without roles, and of everyone where a server asks for no identity."""
_INCLUDED: Final[dict[Role, frozenset[Role]]] = {
    "submit": frozenset(("submit", "admin")),
    "read": frozenset(("read", "read_all", "admin")),
    "read_all": frozenset(("read_all", "admin")),
    "admin": frozenset(("admin",)),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request.

    roles
        `submit` sends, changes and deletes jobs of its own; `read` reads them; `read_all` reads all jobs; `admin` has
        all roles, reads the audit log, and changes and deletes any job
    way : the credential that names the sender; `none` where none is required
    expires_at : Unix time in seconds at which a token expires
    """

    id: str
    roles: frozenset[Role] = DEFAULT_ROLES
    way: Way = "none"
    expires_at: float = inf

    def has(self, role: Role) -> bool:
        """Whether a role is given, or included in one that is."""
        return not self.roles.isdisjoint(_INCLUDED[role])

    @property
    def reads_all(self) -> bool:
        """Whether jobs of others may be read."""
        return self.has("read_all")

    @property
    def is_admin(self) -> bool:
        """Whether jobs of others may be changed and deleted."""
        return self.has("admin")


def roles_in(words: Collection[object], prefix: str = "") -> frozenset[Role]:
    """The roles among words of a provider or proxy, each with a prefix; other words have no effect."""
    return frozenset(role for role in ROLES if f"{prefix}{role}" in words)


EVERYONE: Final = Principal(ANONYMOUS)  # where no identity is required, all jobs are those of this one
