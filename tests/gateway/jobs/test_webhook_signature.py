import base64
import json
from pathlib import Path

import pytest

from services.common.schemas import Reason
from services.gateway.jobs.schemas import Counts, JobDocument, Progress, UsedModel
from services.gateway.jobs.webhook_signature import AllowedWebhooks, WebhookRefused, message, read_secret, signature

SITE = AllowedWebhooks(["https://pacs.example.org/hooks", "http://10.0.0.7:8080/in/"])


@pytest.mark.parametrize(
    "address",
    [
        "https://pacs.example.org/hooks",
        "https://pacs.example.org/hooks/ich?key=1",
        "https://PACS.example.org:443/hooks/a/b",
        "http://10.0.0.7:8080/in/x",
    ],
)
def test_addresses_at_or_below_a_listed_one_are_allowed(address: str) -> None:
    SITE.check(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://pacs.example.org/hooks",
        "https://pacs.example.org/hooksy",
        "https://pacs.example.org/",
        "https://pacs.example.org:8443/hooks",
        "https://pacs.example.org.evil.net/hooks",
        "https://pacs.example.org@evil.net/hooks",
        "https://user:word@pacs.example.org/hooks",
        "https://evil.net/https://pacs.example.org/hooks",
        "https://pacs.example.org/hooks/../admin",
        "https://pacs.example.org/hooks/%2e%2e/admin",
        "https://pacs.example.org/hooks/%2E%2E%2Fadmin",
        "https://pacs.example.org\\@evil.net/hooks",
        "https://pacs.example.org/hooks#there",
        "http://10.0.0.7/in/x",
        "http://169.254.169.254/latest/meta-data",
        "ftp://pacs.example.org/hooks",
        "file:///etc/passwd",
        "//pacs.example.org/hooks",
        "hooks",
        "",
        "https://[::1",
        "https://pacs.example.org/hooks\r\nx: y",
    ],
)
def test_every_other_address_is_refused(address: str) -> None:
    with pytest.raises(WebhookRefused):
        SITE.check(address)


def test_without_a_list_nothing_is_allowed() -> None:
    with pytest.raises(WebhookRefused):
        AllowedWebhooks([]).check("https://pacs.example.org/hooks")


def test_a_wrong_list_stops_the_start() -> None:
    with pytest.raises(ValueError, match="absolute"):
        AllowedWebhooks(["pacs.example.org"])


def test_a_signature_is_that_of_the_standard() -> None:
    """The example of the specification's own libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_holds_ids_counts_and_codes_only() -> None:
    job = JobDocument(
        id="01a2",
        status="finished",
        priority="routine",
        operating_point="default",
        files=3,
        progress=Progress(series_done=1, series=1, slices_done=3, slices=3),
        counts=Counts(assessed=1),
        series_present=1,
        series_with_warnings=0,
        models=(UsedModel(name="default", sha256="9f86", reports=1),),
        warnings=(Reason(code="several_models", detail="...", severity="warn"),),
        queue_position=None,
        created="2026-01-01T00:00:00.000Z",
        started="2026-01-01T00:00:00.000Z",
        ended="2026-01-01T00:00:01.000Z",
        left_out=(),
        left_out_total=0,
        problem=None,
    )
    sent = message(job, bytes(24), 7)
    assert json.loads(sent.body) == {
        "job": "01a2",
        "status": "finished",
        "counts": {"assessed": 1, "not_assessed": 0, "failed": 0},
        "series_present": 1,
        "series_with_warnings": 0,
        "warnings": ["several_models"],
    }
    assert sent.headers["webhook-id"] == message(job, bytes(24), 8).headers["webhook-id"]
    assert sent.headers["webhook-signature"] == signature(bytes(24), "msg_01a2", 7, sent.body)


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_AAAA", "whsec_!", "A" * 40])
def test_a_secret_that_is_none_stops_the_start_and_is_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^secret: wanted whsec_ and base64 of 24 to 64 bytes$"):
        read_secret(path)


def test_a_secret_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"whsec_{base64.b64encode(bytes(range(32))).decode()}\n")
    assert read_secret(tmp_path / "secret") == bytes(range(32))
