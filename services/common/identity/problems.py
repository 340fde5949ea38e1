"""Refusals of requests for their sender or its roles."""

from services.common.identity.principal import Principal, Role
from services.common.problems import Problem


class Unauthorized(Problem):
    status = 401
    code = "unauthorized"
    title = "An API key or access token is required"

    def headers(self) -> dict[str, str]:
        """The authentication scheme (RFC 6750)."""
        return {"www-authenticate": "Bearer"}


class InvalidToken(Unauthorized):
    """An access token that is not accepted.

    Parameters
    ----------
    cause : a word for programs and metrics, such as `expired`
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail, cause=cause)
        self.cause = cause

    def headers(self) -> dict[str, str]:
        """The error of RFC 6750, section 3.1."""
        return {"www-authenticate": 'Bearer error="invalid_token"'}


class ProviderUnavailable(Problem):
    status = 503
    code = "identity_provider_unavailable"
    title = "Access tokens cannot be verified now"
    retry_after_s = 5


class TooManyWrongKeys(Problem):
    status = 429
    code = "too_many_wrong_keys"
    title = "Too many wrong API keys came from this address"

    def __init__(self, detail: str, *, retry_after_s: int = 10) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class MissingRole(Problem):
    status = 403
    code = "missing_role"
    title = "The sender lacks a role"

    @classmethod
    def of(cls, principal: Principal, role: Role) -> "MissingRole":
        """The refusal of a principal, which names the missing role."""
        given = ", ".join(sorted(principal.roles)) or "none"
        detail = f"this request needs the role {role!r}; yours: {given}; ask the site's administrator for the role"
        return cls(detail, role=role)
