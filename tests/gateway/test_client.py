import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.client import (
    KEY_NAME,
    Failure,
    SentFile,
    WrongUsage,
    authorization,
    files_of,
    hidden_in,
    part,
    wait_until_ready,
)


def _client(status: int, document: Any) -> httpx.Client:
    answer = httpx.MockTransport(lambda _: httpx.Response(status, json=document))
    return httpx.Client(transport=answer, base_url="http://gateway")


def test_waiting_ends_with_the_reason() -> None:
    with pytest.raises(Failure, match="cnn cannot be reached"):
        wait_until_ready(_client(503, {"detail": "cnn cannot be reached"}), 0.4)
    wait_until_ready(_client(200, {}), 0)


def test_a_gateway_that_is_not_there_is_told_from_one_that_is_not_ready() -> None:
    with (
        httpx.Client(base_url="http://127.0.0.1:9") as client,
        pytest.raises(Failure, match=r"http://127.0.0.1:9 did not answer \(ConnectError\): is the gateway running"),
    ):
        wait_until_ready(client, 0)
    with pytest.raises(Failure, match="is not ready: 502"):
        wait_until_ready(_client(502, "of a proxy"), 0)


def test_the_key_is_of_a_file_or_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_NAME, raising=False)
    assert authorization(None) == {}
    monkeypatch.setenv(KEY_NAME, "of-the-environment")
    assert authorization(None) == {"authorization": "Bearer of-the-environment"}
    key = tmp_path / "key"
    key.write_text("of-a-file\n")
    assert authorization(key) == {"authorization": "Bearer of-a-file"}
    for content in (b"", b" \n", b"two\nlines", "schlüssel".encode(), b"\xff"):
        key.write_bytes(content)
        with pytest.raises(WrongUsage, match="key"):
            authorization(key)
    with pytest.raises(WrongUsage, match="No such file"):
        authorization(tmp_path / "none")


def test_folders_are_walked_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b.dcm", "sub/a.dcm", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(name))
    assert [path.name for path in files_of([tmp_path])] == ["b.dcm", "a.dcm"]
    assert [path.name for path in files_of([tmp_path / ".hidden"])] == [".hidden"], "it was asked for"
    (tmp_path / "._b.dcm").write_bytes(b"")
    assert [path.name for path in hidden_in([tmp_path, tmp_path / "b.dcm"])] == [".hidden"]
    with pytest.raises(Failure, match="no such file"):
        files_of([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(Failure, match="no files"):
        files_of([tmp_path / "empty"])


def test_a_file_is_open_only_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    counted: list[int] = []
    file = SentFile(path, 10, counted.append)
    assert file.seek(0, 2) == file.tell() == 10
    for _ in range(2):  # a request may be sent again
        file.seek(0)
        assert [file.read(4), file.read(4), file.read(4), file.read(4)] == [b"0123", b"4567", b"89", b""]
    assert sum(counted) == 20


def test_thousands_of_files_go_in_one_request(tmp_path: Path) -> None:
    """More than a process may have open."""
    path = tmp_path / "a"
    path.write_bytes(b"0")
    received = httpx.MockTransport(lambda request: httpx.Response(200, text=str(request.read().count(b"filename="))))
    with httpx.Client(transport=received) as client:
        parts = [part(str(number), SentFile(path, 1)) for number in range(5000)]
        assert client.post("http://gateway", files=parts).text == "5000"


@pytest.mark.parametrize("now", [b"short", b"longer than it was", None])
def test_a_file_that_changes_is_not_sent(tmp_path: Path, now: bytes | None) -> None:
    path = tmp_path / "a"
    file = SentFile(path, 10)
    if now is not None:
        path.write_bytes(now)
    with pytest.raises(Failure, match="changed while it was sent" if now else "No such file"):
        list(iter(lambda: file.read(8), b""))


def test_a_name_that_is_no_text_can_be_sent(tmp_path: Path) -> None:
    _, (name, _) = part(b"caf\xe9.dcm".decode("utf-8", "surrogateescape"), SentFile(tmp_path, 0))
    assert name.encode() == "caf\ufffd.dcm".encode()
