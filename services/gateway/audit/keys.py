"""The key of the audit log's hashes."""

from pathlib import Path

from services.gateway.key_file import KeyUnusable, read_key

AuditKeyUnusable = KeyUnusable


def read_audit_key(path: Path) -> bytes:
    """Read the key as `read_key` does, with the same errors."""
    return read_key(path, "the key of the audit log")
