import base64
import json
from pathlib import Path

import pytest

from services.common.schemas import Reason
from services.gateway.jobs.schemas import Counts, JobDocument, Progress, UsedModel
from services.gateway.jobs.webhook_signature import read_secret, sign_webhook, signed_message


def test_a_signature_conforms_to_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = sign_webhook(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_holds_ids_counts_and_codes_only() -> None:
    job = JobDocument(
        id="01a2",
        status="finished",
        priority="routine",
        source="batch",
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
    sent = signed_message(job, bytes(24), 7)
    assert json.loads(sent.body) == {
        "job": "01a2",
        "status": "finished",
        "priority": "routine",
        "source": "batch",
        "counts": {"assessed": 1, "not_assessed": 0, "failed": 0},
        "series_present": 1,
        "series_with_warnings": 0,
        "warnings": ["several_models"],
    }
    assert sent.headers["webhook-id"] == signed_message(job, bytes(24), 8).headers["webhook-id"]
    assert sent.headers["webhook-signature"] == sign_webhook(bytes(24), "msg_01a2", 7, sent.body)


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_AAAA", "whsec_!", "A" * 40])
def test_a_malformed_secret_stops_the_start_and_is_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^secret: expected whsec_ and base64 of 24 to 64 bytes$"):
        read_secret(path)


def test_a_secret_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"whsec_{base64.b64encode(bytes(range(32))).decode()}\n")
    assert read_secret(tmp_path / "secret") == bytes(range(32))
