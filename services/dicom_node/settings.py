"""Settings of the DICOM node, `ICH_NODE_*`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Addresses, peers, rules, limits and times."""

    model_config = SettingsConfigDict(env_prefix="ICH_NODE_")

    data_dir: Path = Field(
        default=Path(".run/dicom-node"),
        description="Folder of the registry, received instances and result objects; one node owns it.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address that the node binds for HTTP: STOW-RS, pull, status and metrics; one that other machines "
        "reach needs `senders_file`.",
    )
    published_host: str | None = Field(
        default=None,
        description="Address on which a proxy in front publishes the node's HTTP, in place of `host`; one that other "
        "machines reach needs `senders_file`.",
    )
    dicom_host: str = Field(
        default="127.0.0.1",
        description="Address that the node binds for DICOM; one that other machines reach needs lists of AE titles.",
    )
    dicom_published_host: str | None = Field(
        default=None,
        description="Address on which the host publishes the DICOM port, in place of `dicom_host` (Compose: "
        "`ICH_DICOM_ADDRESS`); one that other machines reach needs lists of AE titles.",
    )
    dicom_port: int = Field(default=11112, description="Port of DICOM (C-STORE, C-ECHO).")
    gateway_url: str = Field(default="http://127.0.0.1:8000", description="Base URL of the gateway.")
    gateway_key_file: Path | None = Field(
        default=None, description="File with the node's API key of the gateway; unset where it asks for none."
    )
    peers_file: Path | None = Field(
        default=None,
        description="TOML file of the peers that results are sent to and series are pulled from; unset, none.",
    )
