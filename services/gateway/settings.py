"""Settings of the gateway, `ICH_GATEWAY_*`."""

import re
from pathlib import Path
from tempfile import gettempdir
from typing import Final, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.common.host_names import checked_host_names
from services.common.identity.settings import IdentitySettings
from services.common.operating_points import OperatingPoint
from services.gateway.audit.heads import head_destination
from services.gateway.audit.syslog_connection import syslog_address
from services.gateway.quotas.settings import QuotaSettings
from services.gateway.storage_url import checked_storage_url

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")


class Settings(IdentitySettings, QuotaSettings):
    """Addresses of the stages, limits of uploads and of work in progress, jobs, API keys, webhooks and CORS."""

    model_config = SettingsConfigDict(env_prefix="ICH_GATEWAY_", hide_input_in_errors=True)

    host: str = Field(
        default="127.0.0.1",
        description="Address that `python -m services.gateway` binds; one that other machines reach needs "
        "`senders_file`, `oidc_issuer` or `identity_header`.",
    )
    published_host: str | None = Field(
        default=None,
        description="Address on which a proxy in front publishes the gateway, in place of `host` (Compose: that of "
        "`ICH_TLS_ADDRESS`); one that other machines reach needs `senders_file`, `oidc_issuer` or "
        "`identity_header`.",
    )
    preprocess_url: str = Field(default="http://127.0.0.1:8001", description="Base URL of the preprocess stage.")
    cnn_url: str = Field(default="http://127.0.0.1:8002", description="Base URL of the cnn stage.")
    rnn_url: str = Field(default="http://127.0.0.1:8003", description="Base URL of the rnn stage.")
    connect_timeout_s: float = Field(default=2.0, description="Seconds until a connection to a stage must be open.")
    stage_timeout_s: float = Field(
        default=60.0,
        gt=0,
        description="Seconds until a stage must answer, with all attempts of a call; then the request ends with 504.",
    )
    stage_retry_s: float = Field(
        default=5.0,
        ge=0,
        description="Seconds for which a call of a stage that refuses connections or is busy is tried again, so that "
        "another replica may take it. A connection that breaks before the answer is replaced once. 0 tries once.",
    )
    stage_connection_requests: int = Field(
        default=1,
        ge=1,
        description="Mean number of requests on a connection to a stage. 1 lets a balancer of connections, such as a "
        "Service of Kubernetes, choose a replica for each request; a new connection costs 0.5 ms of processor time, "
        "more with TLS. `make run`, with one replica of each stage, sets 16.",
    )

    shared_memory_dir: Path | None = Field(
        default=None,
        description="Folder on a tmpfs that gateway, workers, preprocess and cnn of one host share: files and slices "
        "pass through it without HTTP. Unset, all tensors travel in HTTP bodies. `make run` sets it.",
    )
    max_shared_bytes: int = Field(
        default=96 * 1024**2,
        description="Largest shared memory of one gateway or worker, in bytes. Each chunk in progress takes 1.5 MiB "
        "for each of `chunk_slices`, and travels over HTTP where it gets none.",
    )
    keep_blood: bool = Field(
        default=True,
        description="Keep the blood map with each series of jobs that do not say `blood`; the page draws it as a heat "
        "map. It takes 20 KiB a slice, and a tenth more time of a processor.",
    )
    max_blood_bytes: int = Field(
        default=64 * 1024**2,
        ge=0,
        description="Largest blood map of one series, in bytes; it is held in memory until the report. A row of 32 x "
        "32 cells takes 20 KiB. A report without its map says so by the note `no_blood_map`.",
    )

    spool_dir: Path = Field(
        default=Path(gettempdir()) / "ich-spool",
        description="Folder for uploads while they are processed; each gateway needs one of its own.",
    )
    max_upload_bytes: int = Field(
        default=1024**3, description="Largest upload of a prediction, in bytes, both as sent and unpacked."
    )
    max_files: int = Field(default=2000, description="Largest number of files in a prediction, after unpacking.")
    max_unpacked_ratio: int = Field(
        default=100, description="Largest ratio of a zip's unpacked to its packed bytes, from 64 MiB unpacked on."
    )

    chunk_slices: int = Field(
        default=16,
        description="Largest number of slices in one request to preprocess and to cnn; a slice that is slow to decode "
        "counts as several.",
    )
    slices_at_once: int = Field(
        default=32, description="Largest number of slices in preprocess and cnn at the same time, over all requests."
    )
    slices_rendered_at_once: int = Field(
        default=8,
        ge=1,
        description="Largest number of slices that preprocess renders for readers of jobs at the same time, beside "
        "`slices_at_once`. Clients take turns; 32 times as many may wait, and a further one is answered with 503.",
    )
    max_slices_in_flight: int = Field(
        default=512,
        description="Largest number of slices over all synchronous requests in progress. One client may use two "
        "thirds of it, fewer while others send; a request beyond its share is answered with 503 and `Retry-After`. A "
        "client's only request is always accepted.",
    )
    max_uploads: int = Field(
        default=192,
        description="Largest number of uploads, of predictions and jobs, that are received at the same time; a further "
        "one is answered with 503.",
    )
    max_uploads_per_client: int = Field(
        default=64, description="Largest number of these uploads of one client; a further one is answered with 429."
    )
    max_uploads_bytes: int = Field(
        default=64 * 1024**3,
        description="Largest size on disk of all uploads in progress, in bytes. One client may use eight ninths of it, "
        "and of the free disk.",
    )
    max_decoding_cost: int = Field(
        default=8000,
        description="Longest decoding of a series, in slices of 512 x 512 in JPEG 2000 (40 ms of CPU time each); a "
        "series beyond it is answered with 413 before it is decoded.",
    )
    average_thin_slices: bool = Field(
        default=True,
        description="Average a series with thinner slices than the bundle's training data into slabs; otherwise its "
        "report only has a warning.",
    )
    head_bytes: int = Field(
        default=64 * 1024, description="Number of bytes of each file that preprocess first gets to read its header."
    )
    operating_point: OperatingPoint = Field(
        default="default", description="Operating point of requests that name none."
    )
    prevalence: float | None = Field(
        default=None,
        ge=0.001,
        le=0.999,
        description="Share of the site's patients who have a haemorrhage, from 0.001 to 0.999. The page computes "
        "predictive values with it; a reader may choose another. Unset, a reader chooses one.",
    )
    acceptance_file: Path | None = Field(
        default=None,
        description="TOML file whose table `[severity]` sets the site's severity of rules of acceptance; unset, each "
        "rule has its own.",
    )

    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="URL of the Redis of the job queue: `unix:///folder/redis.sock`, or `redis://host:port/0`.",
    )
    redis_password_file: Path | None = Field(
        default=None,
        description="File with the password of that Redis, read at start; unset, Redis asks for none, and its socket "
        "must be closed to other users.",
    )
    jobs_dir: Path = Field(
        default=Path(gettempdir()) / "ich-jobs",
        description="Folder of the jobs; with `jobs_url`, the folder for files in transfer.",
    )
    jobs_url: str | None = Field(
        default=None,
        description="URL of the object storage of jobs, such as `s3://bucket/prefix`, `gs://bucket/prefix` or "
        "`az://container/prefix`; credentials and endpoint come from the variables of its kind, such as `AWS_*`. "
        "Unset, jobs are stored in `jobs_dir`.",
    )
    job_ttl_s: float = Field(
        default=7 * 24 * 3600, description="Seconds from the end of a job until it is deleted with its reports."
    )
    show_patient: bool = Field(
        default=False,
        description="Keep PatientName with each series of a job and show it in the worklist; otherwise it is dropped "
        "when the job is planned. It is in no log, metric or audit line, nor in Redis.",
    )
    patient_key_file: Path | None = Field(
        default=None,
        description="File of a key of 32 bytes or more for the hashes by which the worklist finds series of the same "
        "patient; unset, each folder of jobs has a key of its own. Gateways with one key have the same hashes.",
    )
    job_files_ttl_s: float | None = Field(
        default=None,
        ge=0,
        description="Seconds from the end of a job until its uploaded files are removed; then viewers get 404 "
        "`no_files` in place of pictures. Unset, files stay as long as the reports.",
    )
    job_files_quota_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Largest size of the uploaded files of all ended jobs, in bytes; beyond it, the files of the jobs "
        "that ended first are removed. Unset, there is no limit.",
    )
    max_job_feedback: int = Field(
        default=10_000,
        ge=1,
        le=999_999,
        description="Largest number of readers' opinions that a job keeps, with those that were replaced; a further "
        "one is answered with 409.",
    )
    job_lanes: int = Field(
        default=8,
        description="Largest number of a sender's series that are processed at the same time, for each priority.",
    )
    job_patience_s: float = Field(
        default=24 * 3600, description="Seconds that a series waits for an unavailable stage until it fails."
    )
    max_job_bytes: int = Field(
        default=16 * 1024**3, description="Largest upload of a job, in bytes, both as sent and unpacked."
    )
    max_job_files: int = Field(default=50_000, description="Largest number of files in a job, after unpacking.")
    max_listeners: int = Field(
        default=512, description="Largest number of streams of jobs' events; a further one is answered with 503."
    )
    max_listeners_per_client: int = Field(
        default=64, description="Largest number of these streams of one client; a further one is answered with 429."
    )
    webhooks_allowed: tuple[str, ...] = Field(
        default=(),
        description="JSON list of URLs; a webhook's address must be one of them or lie below one "
        "(docs/reference/webhooks.md).",
    )
    webhook_secret_file: Path | None = Field(
        default=None, description="File with the secret that signs webhooks; required with `webhooks_allowed`."
    )
    webhook_patience_s: float = Field(
        default=24 * 3600.0, description="Seconds from the end of a job until its webhook is given up."
    )

    audit_file: Path | None = Field(
        default=None,
        description="File of the audit log, one JSON line for each access (docs/reference/audit.md); unset, there is "
        "none. `make run` and Compose set it.",
    )
    audit_max_bytes: int = Field(
        default=64 * 1024**2, ge=1024**2, description="Size in bytes above which the audit file rotates."
    )
    audit_keep: int = Field(
        default=50, ge=1, description="Number of rotated audit files; the oldest one is deleted beyond it."
    )
    audit_head: str | None = Field(
        default=None,
        description="Place outside the audit file that gets the hash of its last line: a path, `syslog:/dev/log` or "
        "`syslog://host:514` (UDP).",
    )
    audit_head_interval_s: float = Field(
        default=60.0, gt=0, description="Seconds between two heads, if lines were written; each is flushed to disk."
    )
    audit_key_file: Path | None = Field(
        default=None,
        description="File of a key of 32 bytes or more for the hashes of audit lines (HMAC-SHA256); unset, SHA-256.",
    )
    audit_syslog: str | None = Field(
        default=None,
        description="Syslog server that gets every audit line over TLS (RFC 5425), as `tls://host:6514`. Lines wait in "
        "the audit file while it is down; unset, none are sent.",
    )
    audit_syslog_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities of the syslog server's certificate; unset, those of the system.",
    )
    audit_syslog_cert_file: Path | None = Field(
        default=None, description="PEM file of this gateway's certificate for the syslog server, with its chain."
    )
    audit_syslog_key_file: Path | None = Field(
        default=None, description="PEM file of the certificate's private key; unset, it is in the certificate's file."
    )
    audit_required: bool = Field(
        default=False,
        description="Answer audited requests with 503 `audit_unavailable` while their lines cannot be written; "
        "otherwise the gateway serves them, logs an error and counts `ich_audit_errors_total`.",
    )

    hosts: tuple[str, ...] = Field(
        default=(),
        description="JSON list of host names, without ports, by which clients reach the gateway, beside localhost, "
        "127.0.0.1, [::1] and `host`; a request with another Host header is answered with 421.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="JSON list of origins whose pages may call the gateway from a browser; empty, none may.",
    )

    @field_validator("hosts")
    @classmethod
    def _names_of_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return checked_host_names(hosts)

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no exact origin such as 'https://viewer.example.org'; '*' would let every page "
                    "in a user's browser read this gateway's reports"
                )
        return origins

    @field_validator("jobs_url")
    @classmethod
    def _is_object_storage(cls, url: str | None) -> str | None:
        return checked_storage_url(url) if url else None

    @field_validator("audit_head")
    @classmethod
    def _is_destination(cls, head: str | None) -> str | None:
        if head is not None:
            head_destination(head)
        return head

    @field_validator("audit_syslog")
    @classmethod
    def _is_syslog_server(cls, server: str | None) -> str | None:
        if server is not None:
            syslog_address(server)
        return server

    @model_validator(mode="after")
    def _syslog_has_a_log(self) -> Self:
        if self.audit_syslog and not self.audit_file:
            raise ValueError("audit_syslog is set: set audit_file, from which lines are sent, too")
        if self.audit_syslog_key_file and not self.audit_syslog_cert_file:
            raise ValueError("audit_syslog_key_file is set: set audit_syslog_cert_file, its certificate, too")
        return self

    @model_validator(mode="after")
    def _audit_places_differ(self) -> Self:
        if self.audit_file and self.audit_file.suffix in (".settings", ".head", ".syslog"):
            raise ValueError(
                "audit_file must not end with .settings, .head or .syslog: choose audit.jsonl, for example"
            )
        if self.audit_file and self.audit_head and Path(self.audit_head) == self.audit_file:
            raise ValueError("audit_head is the audit file itself: name a place outside it")
        return self

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if self.webhooks_allowed and not self.webhook_secret_file:
            raise ValueError("webhooks_allowed is set: set webhook_secret_file, which signs webhooks, too")
        return self
