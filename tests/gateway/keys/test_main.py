"""The command of keys: what it prints, and the file that it leaves."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.common.identity.api_keys import ApiKeys
from services.common.identity.new_keys import is_key
from services.common.identity.problems import Unauthorized
from services.gateway.keys.__main__ import NOT_FOUND, UNUSABLE, main

PLAIN = "a-plain-key-of-bobs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "site" / "senders"


def run(file: Path, *arguments: str) -> int:
    return main([*arguments, "--file", str(file)])


def added(file: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run(file, "add", *arguments) == 0
    return capsys.readouterr().out.strip()


def test_a_key_is_printed_once_and_stored_as_its_hash(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = added(file, capsys, "ann", "--roles", "submit,admin", "--expires", "2999-01-01")
    assert is_key(key)
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    principal = ApiKeys.read(file).principal(key, "")
    assert (principal.id, principal.roles) == ("ann", frozenset({"submit", "admin"}))
    assert run(file, "list") == 0
    shown = capsys.readouterr().out
    assert "ann" in shown
    assert "admin,submit" in shown
    assert "2999-01-01" in shown
    assert key not in shown
    assert key.rpartition("_")[2] not in shown


def test_one_key_or_all_of_a_sender_are_revoked_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, other = (added(file, capsys, sender) for sender in ("ann", "ann", "bob"))
    keys = ApiKeys.read(file)
    fingerprint = file.read_text().partition("sha256:")[2][:8]
    assert run(file, "revoke", "ann", "--key", fingerprint) == 0
    with pytest.raises(Unauthorized):
        keys.principal(first, "")
    assert keys.principal(second, "").id == "ann"
    assert run(file, "revoke", "ann") == 0
    with pytest.raises(Unauthorized):
        keys.principal(second, "")
    assert keys.principal(other, "").id == "bob"
    assert run(file, "revoke", "ann") == NOT_FOUND


def test_plain_keys_are_replaced_by_their_hashes_and_stay_valid(
    file: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_text(f"# who may send\nbob {PLAIN} read_all  # the reading room\n")
    file.chmod(0o640)
    keys = ApiKeys.read(file)
    assert "services.gateway.keys hash" in caplog.text
    assert run(file, "list") == 0
    assert "in the clear" in capsys.readouterr().out
    before = keys.principal(PLAIN, "")
    assert run(file, "hash") == 0
    text = file.read_text()
    assert PLAIN not in text
    assert "# who may send\n" in text
    assert text.endswith("  # the reading room\n")
    assert file.stat().st_mode & 0o777 == 0o640, "the group of the gateway still reads it"
    caplog.clear()
    assert keys.principal(PLAIN, "") == before == ApiKeys.read(file).principal(PLAIN, "")
    assert "in the clear" not in caplog.text
    unchanged = file.stat().st_ino
    assert run(file, "hash") == 0
    assert file.stat().st_ino == unchanged


def test_keys_that_are_added_at_the_same_time_are_all_stored(file: Path) -> None:
    threads = [threading.Thread(target=run, args=(file, "add", f"s{number}")) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(file.read_text().splitlines()) == 12
    assert [name for name in os.listdir(file.parent) if name != "senders"] == []  # noqa: PTH208


@pytest.mark.parametrize("command", [("list",), ("add", "ann"), ("revoke", "ann"), ("hash",)])
def test_a_broken_file_is_neither_changed_nor_quoted(
    file: Path, capsys: pytest.CaptureFixture[str], command: Sequence[str]
) -> None:
    file.parent.mkdir()
    file.write_text("ann short\n")
    assert run(file, *command) == UNUSABLE
    assert "line 1" in capsys.readouterr().err
    assert file.read_text() == "ann short\n"


def test_without_a_file_the_remedy_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["list"]) == UNUSABLE
    assert "ICH_GATEWAY_SENDERS_FILE" in capsys.readouterr().err
    monkeypatch.setenv("ICH_GATEWAY_SENDERS_FILE", str(tmp_path / "senders"))
    assert main(["add", "ann"]) == 0
    assert run(tmp_path / "missing", "list") == UNUSABLE


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "a_b"),
        ("add", "anybody"),
        ("add", "system"),
        ("add", "ann", "--roles", "root"),
        ("add", "ann", "--roles", ""),
        ("add", "ann", "--expires", "2020-01-01"),
        ("add", "ann", "--expires", "soon"),
        ("revoke", "ann", "--key", "xyz"),
        ("lists",),
    ],
)
def test_arguments_that_mean_nothing_are_refused(file: Path, arguments: Sequence[str]) -> None:
    with pytest.raises(SystemExit):
        run(file, *arguments)
    assert not file.exists()


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "add scanner-1 --roles submit --expires" in capsys.readouterr().out
