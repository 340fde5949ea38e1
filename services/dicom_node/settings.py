"""Settings of the DICOM node, `ICH_NODE_*`."""

import re
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.common.host_names import checked_host_names
from services.common.identity.settings import IdentitySettings
from services.common.loopback import is_loopback
from services.dicom_node.kinds import Kind

_AE_TITLE: Final = re.compile(r"[ -\[\]-~]{1,16}")


class Settings(IdentitySettings):
    """Addresses, peers, rules, limits and times."""

    model_config = SettingsConfigDict(env_prefix="ICH_NODE_")

    data_dir: Path = Field(
        default=Path(".run/dicom-node-8000"),
        description="Folder of the registry, received instances and result objects; one node owns it. `make run` puts "
        "the port of the gateway at its end.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address that the node binds for HTTP: STOW-RS, pull, status and metrics; one that other machines "
        "reach needs `senders_file`, `oidc_issuer` or `identity_header`.",
    )
    published_host: str | None = Field(
        default=None,
        description="Address on which a proxy in front publishes the node's HTTP, in place of `host`; one that other "
        "machines reach needs `senders_file`, `oidc_issuer` or `identity_header`.",
    )
    hosts: tuple[str, ...] = Field(
        default=(),
        description="JSON list of host names, without ports, by which clients reach the node's HTTP, beside localhost, "
        "127.0.0.1, [::1] and `host`; a request with another Host header is answered with 421.",
    )
    dicom_host: str = Field(
        default="127.0.0.1",
        description="Address that the node binds for DICOM; one that other machines reach needs `calling_ae_titles`.",
    )
    dicom_published_host: str | None = Field(
        default=None,
        description="Address on which the host publishes the DICOM port, in place of `dicom_host` (Compose: "
        "`ICH_DICOM_ADDRESS`); one that other machines reach needs `calling_ae_titles`.",
    )
    dicom_port: int = Field(default=11112, description="Port of DICOM (C-STORE, C-ECHO).")
    ae_titles: tuple[str, ...] = Field(
        default=("ICH",), min_length=1, description="JSON list of the node's AE titles, by which senders call it."
    )
    calling_ae_titles: tuple[str, ...] = Field(
        default=(),
        description="JSON list of AE titles that may send; empty, all may. The association of another one is rejected.",
    )
    tls_certificate_file: Path | None = Field(
        default=None,
        description="PEM file of the node's certificate. Set, the DICOM port takes TLS 1.2 or later only, from senders "
        "with a certificate of `tls_ca_file`.",
    )
    tls_key_file: Path | None = Field(default=None, description="PEM file of the certificate's private key.")
    tls_ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities whose certificates senders must have."
    )
    max_associations: int = Field(
        default=32, ge=1, description="Largest number of associations at a time; a further one is rejected."
    )
    max_associations_per_address: int = Field(
        default=16, ge=1, description="Largest number of associations of one address at a time."
    )
    association_idle_s: float = Field(
        default=120.0, gt=0, description="Seconds without a message after which an association is aborted."
    )
    association_drain_s: float = Field(
        default=20.0,
        ge=0,
        description="Seconds that open associations may continue after SIGTERM, once the port is closed; then they are "
        "aborted, and senders send again.",
    )
    max_instance_bytes: int = Field(
        default=2 * 1024**3,
        description="Largest size of a received instance, in bytes; a larger one is refused as out of resources.",
    )
    max_stow_bytes: int = Field(
        default=4 * 1024**3,
        description="Largest body of a STOW-RS request, in bytes; a larger one is answered with 413.",
    )
    max_stow_instances: int = Field(
        default=5000, description="Largest number of instances of a STOW-RS request; more are answered with 413."
    )
    max_stow_requests: int = Field(
        default=16,
        ge=1,
        description="Largest number of STOW-RS requests received at a time; a further one is answered with 503.",
    )
    max_stow_requests_per_client: int = Field(
        default=12, ge=1, description="Largest number of these requests of one sender, or of one address without keys."
    )
    quota_bytes: int = Field(
        default=100 * 1024**3,
        ge=0,
        description="Largest size of received instances and results, in bytes; above it, senders are refused as out of "
        "resources, and try again later.",
    )
    min_free_bytes: int = Field(
        default=2 * 1024**3,
        ge=0,
        description="Bytes of the data folder's file system that receiving leaves free; below it, senders are refused.",
    )
    quiet_s: float = Field(
        default=15.0,
        gt=0,
        description="Seconds without a new instance after which a series may be complete: no transfer of it is open, "
        "and its InstanceNumbers have no gap.",
    )
    unnumbered_quiet_s: float = Field(
        default=60.0, gt=0, description="The same for instances without an InstanceNumber of their own, in seconds."
    )
    incomplete_after_s: float = Field(
        default=600.0,
        gt=0,
        description="Seconds without a new instance after which the node stops waiting for the rest of a series.",
    )
    incomplete_series: Literal["assess", "set_aside"] = Field(
        default="assess",
        description="What becomes of such a series: `assess` it with a warning that names what is missing, or "
        "`set_aside` with a report that it was not assessed.",
    )
    received_keep_s: float = Field(
        default=3600.0,
        ge=0,
        description="Seconds that received instances are kept after the results of their series were delivered, for "
        "slices that come late; `inf`, until `results_keep_s`.",
    )
    unassessed_keep_s: float = Field(
        default=7 * 24 * 3600.0,
        gt=0,
        description="Seconds after which a complete series expires that the gateway could not assess: its report says "
        "that it was not assessed.",
    )
    results_keep_s: float = Field(
        default=30 * 24 * 3600.0,
        gt=0,
        description="Seconds after which a series with delivered results is forgotten: results and rows are deleted "
        "here. Objects at destinations stay.",
    )
    gateway_url: str = Field(default="http://127.0.0.1:8000", description="Base URL of the gateway.")
    priority: Literal["routine", "urgent"] = Field(
        default="routine", description="Queue of the gateway in which the node's series wait."
    )
    keep_jobs: bool = Field(
        default=True,
        description="Leave jobs at the gateway after their results are fetched, so that its worklist shows them. "
        "They hold a second copy of the images, 15 MB for 28 slices, until the gateway's `job_ttl_s`, or until the "
        "report of a later assessment. Off, the node deletes them.",
    )
    submissions: int = Field(
        default=4, ge=1, description="Largest number of series in transfer to or from the gateway at a time."
    )
    results: tuple[Kind, ...] = Field(
        default=("sr", "text_sr", "secondary_capture", "segmentation", "key_objects"),
        description="JSON list of the kinds of result objects that are built for each series, beside those that a "
        "destination asks for.",
    )
    builds: int = Field(
        default=1, ge=1, description="Largest number of processes that build result objects at a time, one a series."
    )
    build_timeout_s: float = Field(
        default=600.0, gt=0, description="Seconds after which such a process is killed; the build is tried again."
    )
    build_memory_bytes: int = Field(
        default=4 * 1024**3, description="Largest address space of such a process, in bytes."
    )
    first_series_number: int = Field(
        default=9001,
        ge=1,
        le=2**31 - 8,
        description="SeriesNumber of the SR; each further kind of result object has the next number.",
    )
    gateway_key_file: Path | None = Field(
        default=None, description="File with the node's API key of the gateway; unset where it asks for none."
    )
    peers_file: Path | None = Field(
        default=None,
        description="TOML file of the peers that results are sent to and series are pulled from; unset, none.",
    )
    rules_file: Path | None = Field(
        default=None,
        description="TOML file of the rules that say which received series are assessed; its values replace those of "
        "the built-in rules (docs/reference/selection.md).",
    )
    send_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds that one result object and its response may take, at DICOM and HTTP; then the connection "
        "is closed, and the object is sent again.",
    )
    send_first_delay_s: float = Field(
        default=5.0,
        gt=0,
        description="Seconds before the second attempt to deliver a result object or to pull; delays double.",
    )
    send_max_delay_s: float = Field(default=600.0, gt=0, description="Largest delay between such attempts, in seconds.")
    send_patience_s: float = Field(
        default=7 * 86400.0,
        gt=0,
        description="Seconds after which a result object whose destination is down or fails is a dead letter: it is "
        "sent no more before `resend`.",
    )
    send_max_refusals: int = Field(
        default=3,
        ge=1,
        description="Number of refusals, such as of its SOP class, after which a result object is a dead letter.",
    )
    commitment_timeout_s: float = Field(
        default=900.0,
        gt=0,
        description="Seconds in which a destination reports storage commitment; then it is asked again.",
    )
    commitment_wait_s: float = Field(
        default=5.0,
        ge=0,
        description="Seconds that the association is held open for the report after commitment is requested; a later "
        "report arrives on an association of the destination.",
    )
    pull_patience_s: float = Field(
        default=3600.0,
        gt=0,
        description="Seconds after which a pull fails whose peer does not answer, or does not send all instances.",
    )
    max_pulls: int = Field(
        default=1000, ge=1, description="Largest number of unfinished pulls; a further one is answered with 503."
    )
    count_period_s: float = Field(
        default=5.0,
        gt=0,
        description="Seconds between questions to peers with `count` about a series that is being received. Two equal "
        "answers are the number of its instances.",
    )

    @field_validator("ae_titles", "calling_ae_titles")
    @classmethod
    def _are_ae_titles(cls, titles: tuple[str, ...]) -> tuple[str, ...]:
        for title in titles:
            if not _AE_TITLE.fullmatch(title) or title != title.strip():
                raise ValueError(f"{title!r} is no AE title: 1 to 16 characters of ASCII without backslash (PS3.5 6.2)")
        return titles

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        files = self.tls_certificate_file, self.tls_key_file, self.tls_ca_file
        if any(files) and not all(files):
            raise ValueError("TLS needs all of tls_certificate_file, tls_key_file and tls_ca_file: set the others, too")
        return self

    @model_validator(mode="after")
    def _http_needs_keys(self) -> Self:
        """HTTP that other machines reach needs API keys."""
        name = "HOST" if self.published_host is None else "PUBLISHED_HOST"
        public = self.published_host or self.host
        if not is_loopback(public) and not self.asks_for_identity:
            raise ValueError(
                f"ICH_NODE_{name}={public} is reachable by other machines, but no credential is required: name a "
                "file of keys in ICH_NODE_SENDERS_FILE, or set the host to 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _senders_are_known(self) -> Self:
        """A DICOM port that other machines reach needs the list of AE titles."""
        name = "DICOM_HOST" if self.dicom_published_host is None else "DICOM_PUBLISHED_HOST"
        public = self.dicom_published_host or self.dicom_host
        if not is_loopback(public) and not self.calling_ae_titles:
            raise ValueError(
                f"ICH_NODE_{name}={public} is reachable by other machines, but any AE title may send: list those that "
                "may in ICH_NODE_CALLING_AE_TITLES, or set the host to 127.0.0.1"
            )
        return self

    @field_validator("hosts")
    @classmethod
    def _names_of_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return checked_host_names(hosts)
