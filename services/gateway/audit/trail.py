"""The audit log of a gateway: made from its settings, and run from its start to its stop."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.common.version import VERSION
from services.gateway.audit.events import Event, system_event
from services.gateway.audit.file import AuditFileUnusable, lock
from services.gateway.audit.heads import head_destination
from services.gateway.audit.keys import read_audit_key
from services.gateway.audit.log import AuditLog
from services.gateway.audit.settings_change import changed_settings, shown_settings
from services.gateway.audit.syslog_connection import SyslogServer, SyslogUnusable, syslog_address
from services.gateway.audit.writer import AuditOptions
from services.gateway.settings import Settings

logger = logging.getLogger(__name__)


def audit_log(settings: Settings, registry: CollectorRegistry) -> AuditLog | None:
    """The audit log that the settings name; None without one.

    Raises
    ------
    AuditKeyUnusable
        the file of the key is unusable
    """
    if settings.audit_file is None:
        return None
    options = AuditOptions(
        path=settings.audit_file,
        max_bytes=settings.audit_max_bytes,
        keep=settings.audit_keep,
        required=settings.audit_required,
        key=read_audit_key(settings.audit_key_file) if settings.audit_key_file else None,
        head=head_destination(settings.audit_head) if settings.audit_head else None,
        head_interval_s=settings.audit_head_interval_s,
        syslog=_syslog_server(settings),
    )
    return AuditLog(options, registry)


def _syslog_server(settings: Settings) -> SyslogServer | None:
    if settings.audit_syslog is None:
        return None
    return SyslogServer(
        *syslog_address(settings.audit_syslog),
        ca_file=settings.audit_syslog_ca_file,
        certificate_file=settings.audit_syslog_cert_file,
        key_file=settings.audit_syslog_key_file,
    )


@contextmanager
def running_audit(log: AuditLog | None, settings: Settings) -> Iterator[None]:
    """Write the audit log until the context ends; its first line holds the settings and their changes.

    Raises
    ------
    AuditFileUnusable
        the file cannot be opened, or another process writes it
    SyslogUnusable
        a file of TLS for syslog cannot be used
    """
    if log is None or settings.audit_file is None:
        logger.info("ICH_GATEWAY_AUDIT_FILE is not set: there is no audit log")
        yield
        return
    with ExitStack() as stack:
        try:
            descriptor = _lock(settings.audit_file)
            stack.callback(os.close, descriptor)
            stack.enter_context(log.running(_start_event(settings, descriptor)))
        except (AuditFileUnusable, SyslogUnusable) as refusal:
            logger.error(str(refusal))  # noqa: TRY400 - the traceback adds nothing
            raise
        yield


def _lock(path: Path) -> int:
    """Lock the file with the hashes of the settings, which lies beside the audit file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return lock(path.with_suffix(".settings"))
    except OSError as error:
        raise AuditFileUnusable(
            f"{path.with_suffix('.settings')} cannot be written ({error.strerror}); set ICH_GATEWAY_AUDIT_FILE to a "
            "file in a folder that the gateway can write"
        ) from error


def _start_event(settings: Settings, descriptor: int) -> Event:
    """The event `start`: `changed` is null at the first start, and where the disk is full."""
    try:
        changed = changed_settings(settings, descriptor)
    except OSError:
        changed = None
    return system_event("start", version=VERSION, pid=os.getpid(), settings=shown_settings(settings), changed=changed)
