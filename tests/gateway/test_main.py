from pathlib import Path

import pytest

from services.gateway.__main__ import checked_host, main
from services.gateway.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_without_keys_it_is_this_machines_alone(host: str) -> None:
    assert checked_host(Settings(host=host)) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "gateway"])  # noqa: S104 - it is what must be refused
def test_other_machines_are_let_in_only_with_keys(host: str) -> None:
    with pytest.raises(SystemExit, match="ICH_GATEWAY_SENDERS_FILE"):
        checked_host(Settings(host=host))
    assert checked_host(Settings(host=host, senders_file=Path("keys"))) == host


def test_help_is_of_the_gateway_and_says_what_goes_to_uvicorn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ICH_GATEWAY_MISSPELT", "help is shown in spite of it")
    with pytest.raises(SystemExit) as shown:
        main(["--help"])
    assert not shown.value.code
    words = capsys.readouterr().out
    assert words.startswith("usage: python -m services.gateway ")
    assert "Every other argument is passed to uvicorn" in words
    for name in Settings.model_fields:
        assert f"ICH_GATEWAY_{name.upper()}" in words


@pytest.mark.parametrize("option", ["--host=0.0.0.0", "--host", "--workers"])
def test_options_that_would_go_round_the_settings_are_refused(option: str) -> None:
    with pytest.raises(SystemExit, match=f"^{option.partition('=')[0]}.*; see --help"):
        main(["--log-level", "warning", option, "0.0.0.0"])  # noqa: S104 - it is what must be refused
