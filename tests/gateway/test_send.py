import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import httpx
import pytest

from services.common.retry_policy import RetryPolicy
from services.gateway.client import ClientError, GatewayClient, GatewayUnavailable
from services.gateway.prediction_responses import PREDICTION_RESPONSES
from services.gateway.send import main, predict, table

EXAMPLES = PREDICTION_RESPONSES[200]["content"]["application/json"]["examples"]


def _client(status: int, document: Any) -> GatewayClient:
    answer = httpx.MockTransport(lambda _: httpx.Response(status, json=document))
    return GatewayClient(httpx.Client(transport=answer, base_url="http://gateway"), RetryPolicy(1.0, 0.0))


def test_a_report_is_printed_as_a_table() -> None:
    lines = "\n".join(table(EXAMPLES["assessed"]["value"]))
    assert "intraparenchymal   0.9600  present" in lines
    assert "*    1      0.0" in lines, "slices count from 1"
    assert "slice.dcm" in lines
    assert "Research software, not a medical device" in lines


def test_any_below_its_threshold_is_explained_by_a_subtype() -> None:
    report = json.loads(json.dumps(EXAMPLES["assessed"]["value"]))
    report["thresholds"]["series"]["any"] = 0.99
    lines = {line.split()[0]: line for line in table(report) if "threshold" in line}
    assert lines["any"].endswith("(threshold 0.99; a subtype is present)")
    assert lines["intraparenchymal"].endswith("(threshold 0.50)")


def test_a_series_that_is_not_assessed_has_reasons_and_no_probability() -> None:
    lines = "\n".join(table(EXAMPLES["not_assessed"]["value"]))
    assert lines.startswith("not_assessed")
    assert "refuse: The pixels do not look like a head." in lines
    assert "present" not in lines


def test_a_problem_of_the_gateway_is_printed(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"text")
    problem = {"title": "This is no DICOM", "detail": "a.dcm: neither DICOM nor PNG"}
    with pytest.raises(ClientError, match=r"415 This is no DICOM: a\.dcm: neither DICOM nor PNG"):
        predict(_client(415, problem), [tmp_path / "a.dcm"], None)


def test_every_bad_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"text")
    files = [{"file": f"{index}.dcm", "code": "truncated", "reason": "it is cut"} for index in range(25)]
    with pytest.raises(ClientError) as failure:
        predict(_client(422, {"title": "A file", "detail": "first", "files": files}), [tmp_path / "a.dcm"], None)
    lines = str(failure.value).split("\n")
    assert lines[1] == "  0.dcm: it is cut"
    assert lines[20:] == ["  19.dcm: it is cut", "  and 5 more files"]


@pytest.mark.parametrize("document", ["of a proxy", {}])
def test_a_response_that_is_not_a_report_is_an_error(tmp_path: Path, document: Any) -> None:
    (tmp_path / "a.dcm").write_bytes(b"x")
    with pytest.raises(ClientError, match="200 OK: the response is not a report"):
        predict(_client(200, document), [tmp_path / "a.dcm"], None)
    with pytest.raises(GatewayUnavailable, match="502"):
        predict(_client(502, document), [tmp_path / "a.dcm"], None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty"], "empty: there are no files to send"),
        (["none"], "none: no such file or folder"),
        (["a.dcm", "--key-file", "none"], "none: No such file"),
    ],
)
def test_a_wrong_command_line_exits_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.dcm").write_bytes(b"x")
    assert main([*arguments, "--url", "http://127.0.0.1:9"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost", "ftp://gateway", "http://", "http://a:port", ""])
def test_an_invalid_address_exits_2(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as wrong:
        main(["--url", url])
    assert wrong.value.code == 2
    assert "is not an address such as http://127.0.0.1:8000" in capsys.readouterr().err


class _Gateway(BaseHTTPRequestHandler):
    """A ready gateway; it returns the report to requests with the key."""

    report: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        self._answer(200, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        known = self.headers["authorization"] == "Bearer secret"
        self._answer(*((200, self.report) if known else (401, {"title": "No key", "detail": "send a key"})))

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def gateway_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gateway) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("example", "code"), [("assessed", 0), ("not_assessed", 3)])
def test_the_exit_status_depends_on_the_assessment_and_the_key_is_sent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gateway_url: str,
    example: str,
    code: int,
) -> None:
    monkeypatch.setattr(_Gateway, "report", EXAMPLES[example]["value"])
    monkeypatch.delenv("ICH_KEY", raising=False)
    (tmp_path / "a.dcm").write_bytes(b"x")
    (tmp_path / ".b.dcm").write_bytes(b"x")
    (tmp_path / ".key").write_text("secret")
    command = [str(tmp_path), "--url", gateway_url]
    assert main(command) == 1
    assert "401 No key: send a key; give the key by --key-file or in ICH_KEY" in capsys.readouterr().err
    assert main([*command, "--key-file", str(tmp_path / ".key"), "--json"]) == code
    printed = capsys.readouterr()
    assert json.loads(printed.out)["slices"][0]["index"] == 0
    assert "2 hidden files left out" in printed.err
    monkeypatch.setenv("ICH_KEY", "secret")
    assert main(command) == code


def test_the_remedy_is_printed_for_an_unreachable_gateway(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ICH_KEY", raising=False)
    assert main(["--url", "http://127.0.0.1:9"]) == 1
    assert "did not answer (ConnectError); is the gateway running? See --url" in capsys.readouterr().err
