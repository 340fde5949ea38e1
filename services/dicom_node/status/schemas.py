"""The document of `GET /v1/status`. It has no patient data; UIDs are shortened to their last characters."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

_UID_CHARACTERS: Final = 10


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class SeriesStatus(_Value):
    """A series that is still received, or whose results are not all delivered yet."""

    id: int = Field(description="Number of the series in the registry, for `resend` and `forget`.")
    series: str = Field(description="The last characters of its SeriesInstanceUID.")
    step: str
    age_s: float = Field(description="Seconds since its last instance was received.")
    attempts: int = Field(description="Failed attempts of the step.")
    code: str | None = Field(description="Code of the last failure.")


class DestinationStatus(_Value):
    """A destination and its queue of result objects."""

    name: str
    configured: bool = Field(description="False of a destination that the peers file no longer has.")
    pending: int
    sent: int = Field(description="Sent, and not yet confirmed.")
    delivered: int = Field(description="Confirmed; or sent, where the destination confirms nothing.")
    dead: int = Field(description="Given up: see `dead_letters`.")
    oldest_s: float = Field(description="Age of the oldest object that is pending or not yet confirmed, in seconds.")
    code: str | None = Field(description="Code of the last failure.")
    failures: dict[str, int] = Field(description="Number of undelivered objects by the code of their last failure.")


class PassedOver(_Value):
    """A series that the rules do not let through."""

    id: int
    series: str
    age_s: float
    reasons: tuple[str, ...]


class DeadLetter(_Value):
    """A series whose objects one destination did not take; or one that failed before (`destination` is None)."""

    id: int
    series: str
    destination: str | None
    objects: int
    code: str | None
    resend: str = Field(description="The command that tries again.")


class RegistryStatus(_Value):
    """The state that the registry holds, whether the node runs or not."""

    series: dict[str, int] = Field(description="Number of series by their step.")
    oldest_unsent_s: float = Field(description="Age of the oldest assessment with undelivered results; 0 without one.")
    oldest: tuple[SeriesStatus, ...]
    destinations: tuple[DestinationStatus, ...]
    passed_over: tuple[PassedOver, ...]
    dead_letters: tuple[DeadLetter, ...]
    built: dict[str, int] = Field(description="Number of result objects by kind.")
    failed_kinds: dict[str, int] = Field(description="Number of result objects that could not be built, by kind.")
    transfers: dict[str, dict[str, int]] = Field(description="Number of transfers by kind and outcome, or `open`.")
    instances: int = Field(description="Number of received instances.")
    received_bytes: int = Field(description="Their size.")
    stored_bytes: int = Field(description="Size of those that are on disk still.")


class GatewayStatus(_Value):
    """The gateway, as its `/readyz` answers. A node without it stores what it receives."""

    ready: bool
    detail: str | None = None


class NodeStatus(_Value):
    """The running node."""

    version: str
    ae_title: str
    dicom_port: int
    listening: bool
    associations: int
    quota_bytes: int
    gateway: GatewayStatus


class Status(RegistryStatus, NodeStatus):
    """The document of `GET /v1/status`."""


def short_uid(uid: str) -> str:
    """The last characters of a UID, which tell series of a site apart."""
    return uid if len(uid) <= _UID_CHARACTERS else f"…{uid[-_UID_CHARACTERS:]}"
