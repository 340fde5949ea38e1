"""Logs in JSON, without content of requests."""

import json
import logging

import httpx
import pytest

from services.common.observability import JsonFormatter, configure_logging

pytestmark = pytest.mark.anyio


async def test_logs_hold_no_exception_message(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await client.get("/big")
    lines = [JsonFormatter("example").format(record) for record in caplog.records]
    assert any(json.loads(line).get("route") == "/big" for line in lines)
    assert "ebedee" not in "".join(lines)


def test_an_exception_is_logged_as_class_and_stack(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("example")
    try:
        int("Zebedee")
    except ValueError:
        logging.getLogger("example").exception("failed")
    line = json.loads(capsys.readouterr().err)
    assert (line["service"], line["level"], line["error"]) == ("example", "error", "ValueError")
    assert "test_observability.py" in line["trace"][0]
    assert "Zebedee" not in json.dumps(line)
    logging.getLogger().handlers.clear()
