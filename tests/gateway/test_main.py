from pathlib import Path

import pytest

from services.gateway.__main__ import checked_host
from services.gateway.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_without_keys_it_is_this_machines_alone(host: str) -> None:
    assert checked_host(Settings(host=host)) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "gateway"])  # noqa: S104 - it is what must be refused
def test_other_machines_are_let_in_only_with_keys(host: str) -> None:
    with pytest.raises(SystemExit, match="ICH_GATEWAY_SENDERS_FILE"):
        checked_host(Settings(host=host))
    assert checked_host(Settings(host=host, senders_file=Path("keys"))) == host
