import json
from pathlib import Path

import httpx
import pytest

from services.common.lazy_file import LazyFile
from services.common.retry_policy import RetryPolicy
from services.gateway.client import ClientError, GatewayClient
from services.gateway.client_files import file_part, list_files, list_hidden_files


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


def test_one_request_sends_thousands_of_files(tmp_path: Path) -> None:
    """More than a process may open at once."""
    path = tmp_path / "a"
    path.write_bytes(b"0")
    received = httpx.MockTransport(lambda request: httpx.Response(200, text=str(request.read().count(b"filename="))))
    with httpx.Client(transport=received) as client:
        parts = [file_part(str(number), LazyFile(path, 1)) for number in range(5000)]
        assert client.post("http://gateway", files=parts).text == "5000"


def test_a_file_that_cannot_be_sent_ends_the_request_with_its_name(tmp_path: Path) -> None:
    with httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(lambda _: httpx.Response(200))) as http:
        gateway = GatewayClient(http, RetryPolicy(1, 0))
        with pytest.raises(ClientError, match="missing: No such file"):
            gateway.request("POST", "/", files=[file_part("a", LazyFile(tmp_path / "missing", 10))])


def test_a_name_that_is_not_utf8_is_sent_with_replacements(tmp_path: Path) -> None:
    _, (name, _) = file_part(b"caf\xe9.dcm".decode("utf-8", "surrogateescape"), LazyFile(tmp_path, 0))
    assert name.encode() == "caf\ufffd.dcm".encode()
