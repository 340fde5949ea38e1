"""Documents of `/v1/pull`."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.common.schemas import Frozen

PullStatus = Literal["queued", "running", "finished", "failed"]
SeriesPullStatus = Literal["found", "passed_over", "retrieved", "failed"]
Uid = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+$", max_length=64)]


class PullRequest(Frozen):
    """A study, or one of its series, and the configured peer that has it."""

    study_instance_uid: Uid
    series_instance_uid: Uid | None = Field(None, description="only this series; default: all that the rules select")
    from_: str = Field(alias="from", max_length=64, description="name of a configured peer, never an address")


class PulledSeries(Frozen):
    """A series at the peer."""

    series_instance_uid: str
    status: SeriesPullStatus = Field(description="`found`: it is being retrieved")
    instances: int | None = Field(description="at the peer; null where it does not count")
    received: int = Field(description="instances that the node has")
    reasons: tuple[str, ...] = Field(description="of the selection rules")
    code: str | None = Field(description="of the last failure")


class PullDocument(Frozen):
    """State and progress of a pull."""

    id: str
    from_: str = Field(serialization_alias="from")
    study_instance_uid: str
    series_instance_uid: str | None
    status: PullStatus
    attempts: int
    code: str | None = Field(description="of the last failure, such as `unreachable` or `study_not_found`")
    created_at: str
    updated_at: str
    series: tuple[PulledSeries, ...]
