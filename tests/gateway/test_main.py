from pathlib import Path

import pytest

from services.gateway.__main__ import checked_host, main
from services.gateway.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_without_keys_loopback_addresses_are_allowed(host: str) -> None:
    assert checked_host(Settings(host=host)) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "gateway"])  # noqa: S104 - must be refused
def test_other_addresses_need_api_keys(host: str) -> None:
    with pytest.raises(SystemExit, match="ICH_GATEWAY_SENDERS_FILE"):
        checked_host(Settings(host=host))
    assert checked_host(Settings(host=host, senders_file=Path("keys"))) == host


def test_help_lists_the_settings_and_mentions_uvicorn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ICH_GATEWAY_MISSPELT", "help works nevertheless")
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert not stopped.value.code
    text = capsys.readouterr().out
    assert text.startswith("usage: python -m services.gateway ")
    assert "All other arguments are passed to uvicorn" in text
    for name in Settings.model_fields:
        assert f"ICH_GATEWAY_{name.upper()}" in text


@pytest.mark.parametrize(
    "option", ["--host=0.0.0.0", "--host", "--workers", "--http", "--forwarded-allow-ips", "--proxy-headers"]
)
def test_options_that_bypass_the_settings_are_refused(option: str) -> None:
    with pytest.raises(SystemExit, match=f"^{option.partition('=')[0]}.*; see --help"):
        main(["--log-level", "warning", option, "0.0.0.0"])  # noqa: S104 - must be refused


def test_a_gateway_behind_a_proxy_is_as_reachable_as_the_proxy() -> None:
    behind = Settings(host="0.0.0.0", published_host="127.0.0.1")  # noqa: S104 - the network of the containers
    assert checked_host(behind) == "0.0.0.0"  # noqa: S104
    published = behind.model_copy(update={"published_host": "0.0.0.0"})  # noqa: S104 - must be refused
    with pytest.raises(SystemExit, match="ICH_GATEWAY_PUBLISHED_HOST=0"):
        checked_host(published)
    assert checked_host(published.model_copy(update={"senders_file": Path("keys")})) == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("name", ["UVICORN_FORWARDED_ALLOW_IPS", "FORWARDED_ALLOW_IPS"])
def test_proxies_are_named_in_one_place(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "*")
    with pytest.raises(SystemExit, match=f"^{name} .*ICH_GATEWAY_PROXIES"):
        main([])
