"""Changes of the settings between two starts, for the line `start`. Secrets are named, never shown."""

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.gateway.settings import Settings

_SECRET_PARTS: Final = ("secret", "password", "key", "token", "webhooks")
_WRITTEN: Final = ("audit_file",)  # a file that the gateway writes
_MAX_BYTES: Final = 1024**2


def shown_settings(settings: Settings) -> dict[str, Any]:
    """The values of all settings; "set" or null of secrets and addresses, which may hold passwords."""
    values = settings.model_dump(mode="json").items()
    return {name: "set" if value and _is_secret(name) else value for name, value in values}


def changed_settings(settings: Settings, descriptor: int) -> list[str] | None:
    """Names of the settings that differ from the last start, and store the present ones; None at the first start.

    Files that settings name are compared by their content.

    Parameters
    ----------
    descriptor : of a file of this module, open for reading and writing; it holds keyed hashes of the values
    """
    before = _read(descriptor)
    key = bytes.fromhex(before["key"]) if before else secrets.token_bytes(32)
    present = _hashes(settings, key)
    _write(descriptor, {"key": key.hex(), "settings": present})
    if before is None:
        return None
    last: Mapping[str, str] = before["settings"]
    return sorted(name for name in present.keys() | last.keys() if present.get(name) != last.get(name))


def _is_secret(name: str) -> bool:
    return name.endswith("_url") or any(part in name for part in _SECRET_PARTS)


def _hashes(settings: Settings, key: bytes) -> dict[str, str]:
    values = settings.model_dump(mode="json").items()
    return {name: _hash(value, None if name in _WRITTEN else getattr(settings, name), key) for name, value in values}


def _hash(value: Any, setting: Any, key: bytes) -> str:
    content = json.dumps(value).encode()
    if isinstance(setting, Path) and setting.is_file():
        content += b"\0" + setting.read_bytes()
    return hmac.digest(key, content, "sha256").hex()


def _read(descriptor: int) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(os.pread(descriptor, _MAX_BYTES, 0))
        bytes.fromhex(found["key"])
        dict(found["settings"])
    except (ValueError, KeyError, TypeError):
        return None
    return found


def _write(descriptor: int, content: Mapping[str, Any]) -> None:
    data = json.dumps(content).encode()
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
