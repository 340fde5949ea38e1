"""One running product for all end-to-end tests."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.receiver import Receiver, receiving
from tests.running import ROOT, Service, running_service


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "samples"


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Takes webhooks."""
    with receiving() as found:
        yield found


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "secret").write_text(f"whsec_{base64.b64encode(bytes(range(32))).decode()}")
    webhooks = {
        "ICH_GATEWAY_WEBHOOKS_ALLOWED": f'["{receiver.url}/hooks"]',
        "ICH_GATEWAY_WEBHOOK_SECRET_FILE": str(folder / "secret"),
    }
    with running_service(folder / "log", more=webhooks) as running:
        yield running
