from pathlib import Path

import pytest

from services.gateway.audit.keys import AuditKeyUnusable, read_audit_key


def key_file(folder: Path, content: str, mode: int = 0o600) -> Path:
    path = folder / "audit.key"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_key_is_read_without_its_newline(tmp_path: Path) -> None:
    assert read_audit_key(key_file(tmp_path, f"{'a' * 64}\n")) == b"a" * 64


@pytest.mark.parametrize("content", ["", "a" * 31 + "\n" * 9, "a" * 5000])
def test_a_key_of_another_length_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(AuditKeyUnusable, match=r"32 to 4096 bytes.*openssl rand"):
        read_audit_key(key_file(tmp_path, content))


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(AuditKeyUnusable, match="chmod 600"):
        read_audit_key(key_file(tmp_path, "a" * 64, mode))


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditKeyUnusable, match="not readable"):
        read_audit_key(tmp_path / "none")
