"""Peers of the node: other systems that it sends results to and pulls series from, by a TOML file.

A peer has a DICOM address (`ae_title`, `host`, `port`), a DICOMweb address, a FHIR address, or several. `send` makes it
a destination. The name of a peer stands in requests, messages and metrics; its address stands in this file only.
"""

import ipaddress
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from services.dicom_node.kinds import Kind

Protocol = Literal["c-store", "stow-rs"]
Check = Literal["none", "qido-rs", "c-find"]
DICOM_ADDRESS: Final = "ae_title, host and port"
_PRINTABLE: Final = r"^[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?$"  # PS3.5 6.2: no backslash, no control characters
AeTitle = Annotated[str, StringConstraints(pattern=_PRINTABLE)]
PeerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class InvalidPeers(ValueError):
    """The file of peers cannot be used. The message names the place, the fault and the remedy."""


def _below_the_files_folder(value: Any, info: ValidationInfo) -> Any:
    folder = (info.context or {}).get("folder")
    return folder / value if folder and isinstance(value, str) else value


PeerFile = Annotated[Path, BeforeValidator(_below_the_files_folder)]


class PeerUnavailable(Exception):
    """A peer does not do its part now. `code` is for tables and metrics; the message names peer and remedy."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Peer(BaseModel):
    """One peer. Relative paths start at the folder of the peers file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PeerName = Field(description="of the table `[peers.NAME]`")
    ae_title: AeTitle | None = Field(None, description="application entity title of the peer")
    host: str | None = Field(None, min_length=1, description="name or IP address of the peer's DICOM port")
    port: int | None = Field(None, ge=1, le=65535, description="DICOM port of the peer")
    dicom_web_url: str | None = Field(None, description="base URL of the peer's DICOMweb, with https unless loopback")
    fhir_url: str | None = Field(None, description="base URL of a FHIR R4 server that takes the `fhir` bundle")
    tls: bool = Field(default=False, description="TLS on the DICOM port")
    tls_name: str | None = Field(None, description="name in the peer's certificate, where it is not `host`")
    ca_file: PeerFile | None = Field(None, description="PEM file of the CA of the peer; unset, the system's CAs")
    certificate_file: PeerFile | None = Field(None, description="PEM file of the node's client certificate")
    key_file: PeerFile | None = Field(None, description="PEM file of the private key of the client certificate")
    token_file: PeerFile | None = Field(None, description="file with the bearer token of DICOMweb and FHIR")
    user: str | None = Field(None, min_length=1, description="user of basic authentication")
    password_file: PeerFile | None = Field(None, description="file with the password of basic authentication")
    send: frozenset[Kind] = Field(frozenset(), description="kinds of result objects that the peer gets")
    by: Protocol = Field("c-store", description="protocol that sends DICOM objects")
    commitment: bool = Field(default=True, description="request storage commitment after C-STORE")
    check: Check = Field("none", description="query that confirms sent objects where there is no commitment")
    count: bool = Field(default=False, description="ask this peer how many instances a received series has")
    pull: bool = Field(default=True, description="whether `POST /v1/pull` may name the peer")

    @field_validator("dicom_web_url", "fhir_url")
    @classmethod
    def _absolute_url(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
            raise ValueError("give an absolute http or https URL without user and password")
        if parts.query or parts.fragment:
            raise ValueError("give a base URL without query and fragment")
        return value and value.rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [fault for fault in (*_address_faults(self), *_credential_faults(self)) if fault]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def has_dicom(self) -> bool:
        return self.ae_title is not None and self.host is not None and self.port is not None

    @property
    def commits(self) -> bool:
        """Whether sent DICOM objects are confirmed by storage commitment."""
        return self.by == "c-store" and self.commitment

    @property
    def can_be_pulled_from(self) -> bool:
        return self.pull and (self.has_dicom or self.dicom_web_url is not None)

    def tls_context(self) -> ssl.SSLContext:
        """TLS for DIMSE and HTTPS: the peer's CA, and the node's client certificate where there is one."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context

    @property
    def sends_dicom(self) -> bool:
        return bool(self.send - {"fhir"})


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    peers: dict[str, dict[str, Any]] = Field(default_factory=dict)


Peers = Mapping[str, Peer]


def read_peers(path: Path | None) -> Peers:
    """The peers by name, in the order of the file; none without a file.

    Raises
    ------
    InvalidPeers
        the file is absent or no TOML, names something unknown, or misses something that a peer needs
    """
    if path is None:
        return {}
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise InvalidPeers(
            f"{path}: cannot be read ({error.strerror}); correct the path in ICH_NODE_PEERS_FILE, or unset it"
        ) from error
    except ValueError as error:
        raise InvalidPeers(
            f"{path}: cannot be read as TOML ({error}); correct it, or unset ICH_NODE_PEERS_FILE"
        ) from error
    try:
        tables = _File.model_validate(document).peers
    except ValidationError as error:
        raise InvalidPeers(f"{path}: expected tables [peers.NAME] only; {_explain(error, _File)}") from error
    return {name: _read_peer(path, name, table) for name, table in tables.items()}


def _read_peer(path: Path, name: str, table: Mapping[str, Any]) -> Peer:
    where = f"{path}, [peers.{name}]"
    if "name" in table:
        raise InvalidPeers(f"{where}: name is unknown; the table's own name is the peer's name")
    try:
        peer = Peer.model_validate({**table, "name": name}, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise InvalidPeers(f"{where}: {_explain(error, Peer)}") from error
    for file in filter(None, (peer.ca_file, peer.certificate_file, peer.key_file, peer.token_file, peer.password_file)):
        _check_readable(where, file)
    _check_content(where, peer)
    return peer


def _check_readable(where: str, file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise InvalidPeers(
            f"{where}: {file} cannot be read ({error.strerror}); create it, or correct its path"
        ) from error


def _check_content(where: str, peer: Peer) -> None:
    try:
        peer.tls_context()
    except (OSError, ValueError) as error:
        files = "ca_file, certificate_file or key_file"
        raise InvalidPeers(f"{where}: {files} is no PEM file of its kind ({error}); correct it") from error
    for file in filter(None, (peer.token_file, peer.password_file)):
        if not read_secret(file):
            raise InvalidPeers(f"{where}: the first line of {file} is empty; write the secret into it")


def read_secret(path: Path) -> str:
    """The first line of a file; it is read anew for each client, so that a site can replace it."""
    with path.open() as file:
        return file.readline().strip()


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    known = ", ".join(name for name in model.model_fields if name != "name")
    return "; ".join(_explain_one(fault, known) for fault in error.errors(include_url=False))


def _explain_one(fault: ErrorDetails, known: str) -> str:
    place = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"{place} is unknown; known are {known}"
    return f"{place}: {fault['msg']}" if place else fault["msg"].removeprefix("Value error, ")


def _address_faults(peer: Peer) -> list[str]:
    any_dicom = any(value is not None for value in (peer.ae_title, peer.host, peer.port))
    return [
        f"a DICOM address needs {DICOM_ADDRESS}" if any_dicom and not peer.has_dicom else "",
        "" if any_dicom or peer.dicom_web_url or peer.fhir_url else f"give {DICOM_ADDRESS}, dicom_web_url or fhir_url",
        f"by = 'c-store' needs {DICOM_ADDRESS}"
        if peer.sends_dicom and peer.by == "c-store" and not peer.has_dicom
        else "",
        "by = 'stow-rs' needs dicom_web_url"
        if peer.sends_dicom and peer.by == "stow-rs" and not peer.dicom_web_url
        else "",
        "send = ['fhir'] needs fhir_url" if "fhir" in peer.send and not peer.fhir_url else "",
        "check = 'qido-rs' needs dicom_web_url" if peer.check == "qido-rs" and not peer.dicom_web_url else "",
        f"check = 'c-find' needs {DICOM_ADDRESS}" if peer.check == "c-find" and not peer.has_dicom else "",
        "check is for peers without storage commitment; set commitment = false" if _checks_twice(peer) else "",
        f"count needs {DICOM_ADDRESS} or dicom_web_url"
        if peer.count and not (peer.has_dicom or peer.dicom_web_url)
        else "",
    ]


def _checks_twice(peer: Peer) -> bool:
    return peer.check != "none" and peer.sends_dicom and peer.commits


def _credential_faults(peer: Peer) -> list[str]:
    secret = peer.token_file or peer.password_file
    exposed = [url for url in (peer.dicom_web_url, peer.fhir_url) if secret and url and not _keeps_secrets(url)]
    return [
        "user and password_file belong together" if (peer.user is None) != (peer.password_file is None) else "",
        "give token_file, or user and password_file, not both" if peer.token_file and peer.user else "",
        "key_file needs certificate_file" if peer.key_file and not peer.certificate_file else "",
        "tls_name needs tls = true" if peer.tls_name and not peer.tls else "",
        *(f"{url} would send a secret in clear text; use https" for url in exposed),
    ]


def _keeps_secrets(url: str) -> bool:
    """Whether a URL has https, or stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
