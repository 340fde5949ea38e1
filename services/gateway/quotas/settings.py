"""Settings of quotas and rate limits."""

from pathlib import Path

from pydantic import Field

from services.common.settings import ServiceSettings


class QuotaSettings(ServiceSettings):
    """Limits of each sender; unset, there is none. A file may give single senders others."""

    quota_jobs: int | None = Field(
        default=None,
        ge=1,
        description="Largest number of a sender's jobs that have not ended; a further one is answered with 429 "
        "`quota_exceeded`. Unset, there is no limit.",
    )
    quota_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Largest size of the uploaded files of all of a sender's jobs, in bytes; a job beyond it is "
        "answered with 429 `quota_exceeded`. Unset, there is no limit.",
    )
    quota_series: int | None = Field(
        default=None,
        ge=1,
        description="Number of a sender's series without a report from which on a further job is answered with 429 "
        "`quota_exceeded`. `job_lanes` sets how many of them are processed at the same time. Unset, there is no limit.",
    )
    quota_requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="Largest number of a sender's requests in a minute, which may come at once; a further one is "
        "answered with 429 `rate_limited`. Where no credential is required, of an address. Unset, there is no limit.",
    )
    quota_file: Path | None = Field(
        default=None,
        description="TOML file with other limits of single senders, read at start (docs/how-to/limit-senders.md); "
        "unset, all senders have the same limits.",
    )
