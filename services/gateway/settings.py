"""Settings of the gateway, `ICH_GATEWAY_*`."""

import re
from pathlib import Path
from tempfile import gettempdir
from typing import Final, Self

from pydantic import field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.common.operating_points import OperatingPoint
from services.common.settings import ServiceSettings

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")


class Settings(ServiceSettings):
    """Where the stages are, what an upload may be, how long a stage may take, and how jobs are kept.

    host : what `python -m services.gateway` binds to
    chunk_slices, slices_at_once : how many slices go through preprocess and cnn in one request, and in all requests
    average_thin_slices : whether series thinner than the bundle learnt from are averaged into slabs, or only warned of
    max_slices_in_flight : of all waiting calls; more are refused with 503 and `Retry-After`
    jobs_dir, jobs_url : where jobs lie: the folder, or an fsspec address (with the folder for what is under way)
    job_ttl_s : how long an ended job is kept
    job_lanes : how many of a sender's series may be worked on at once in each priority
    job_patience_s : how long a series waits for a stage to come back
    senders_file : lines of `id key`, without which anybody may send
    webhooks_allowed : addresses at or below which a sender may name a webhook (docs/reference/webhooks.md)
    webhook_secret_file : the key of their signatures
    cors_origins : pages of these origins may call the gateway from a browser; none without
    webhook_patience_s : how long after a job's end its webhook is tried
    """

    model_config = SettingsConfigDict(env_prefix="ICH_GATEWAY_")

    host: str = "127.0.0.1"
    preprocess_url: str = "http://127.0.0.1:8001"
    cnn_url: str = "http://127.0.0.1:8002"
    rnn_url: str = "http://127.0.0.1:8003"
    connect_timeout_s: float = 2.0
    stage_timeout_s: float = 60.0

    spool_dir: Path = Path(gettempdir()) / "ich-spool"
    max_upload_bytes: int = 1024**3
    max_files: int = 2000
    max_unpacked_ratio: int = 100

    chunk_slices: int = 16
    slices_at_once: int = 32
    max_slices_in_flight: int = 512
    average_thin_slices: bool = True
    head_bytes: int = 64 * 1024
    operating_point: OperatingPoint = "default"
    acceptance_file: Path | None = None

    redis_url: str = "redis://127.0.0.1:6379/0"
    jobs_dir: Path = Path(gettempdir()) / "ich-jobs"
    jobs_url: str | None = None
    job_ttl_s: float = 7 * 24 * 3600
    job_lanes: int = 8
    job_patience_s: float = 24 * 3600
    max_job_bytes: int = 16 * 1024**3
    max_job_files: int = 50_000
    senders_file: Path | None = None
    webhooks_allowed: tuple[str, ...] = ()
    webhook_secret_file: Path | None = None
    webhook_patience_s: float = 24 * 3600.0

    cors_origins: tuple[str, ...] = ()

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no exact origin such as 'https://viewer.example.org'; '*' would let every page "
                    "that a user opens read this gateway's reports"
                )
        return origins

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if self.webhooks_allowed and not self.webhook_secret_file:
            raise ValueError("webhooks are allowed, and there is no webhook_secret_file to sign them with")
        return self
