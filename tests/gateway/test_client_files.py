import json
from pathlib import Path

import httpx
import pytest

from services.gateway.client import ClientError
from services.gateway.client_files import LazyFile, file_part, list_files, list_hidden_files


def test_folders_are_searched_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.dcm", "sub/a.dcm", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(name))
    assert [path.name for path in list_files([tmp_path])] == ["b.dcm", "a.dcm"]
    assert [path.name for path in list_files([tmp_path / ".hidden"])] == [".hidden"], "named on the command line"
    (tmp_path / "._b.dcm").write_bytes(b"")
    assert [path.name for path in list_hidden_files([tmp_path, tmp_path / "b.dcm"])] == [".hidden"]
    with pytest.raises(ClientError, match="no such file"):
        list_files([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClientError, match="no files"):
        list_files([tmp_path / "empty"])


def test_a_file_is_open_only_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    sizes: list[int] = []
    file = LazyFile(path, 10, sizes.append)
    assert file.seek(0, 2) == file.tell() == 10
    for _ in range(2):  # a retry reads the file again
        file.seek(0)
        assert [file.read(4), file.read(4), file.read(4), file.read(4)] == [b"0123", b"4567", b"89", b""]
    assert sum(sizes) == 20


def test_one_request_sends_thousands_of_files(tmp_path: Path) -> None:
    """More than a process may open at once."""
    path = tmp_path / "a"
    path.write_bytes(b"0")
    received = httpx.MockTransport(lambda request: httpx.Response(200, text=str(request.read().count(b"filename="))))
    with httpx.Client(transport=received) as client:
        parts = [file_part(str(number), LazyFile(path, 1)) for number in range(5000)]
        assert client.post("http://gateway", files=parts).text == "5000"


@pytest.mark.parametrize("now", [b"short", b"longer than it was", None])
def test_a_file_that_changes_is_an_error(tmp_path: Path, now: bytes | None) -> None:
    path = tmp_path / "a"
    file = LazyFile(path, 10)
    if now is not None:
        path.write_bytes(now)
    with pytest.raises(ClientError, match="changed while it was sent" if now else "No such file"):
        list(iter(lambda: file.read(8), b""))


def test_a_name_that_is_not_utf8_is_sent_with_replacements(tmp_path: Path) -> None:
    _, (name, _) = file_part(b"caf\xe9.dcm".decode("utf-8", "surrogateescape"), LazyFile(tmp_path, 0))
    assert name.encode() == "caf\ufffd.dcm".encode()
