import pytest

from services.gateway.jobs.webhook_addresses import AllowedAddresses, WebhookRefused

SITE = AllowedAddresses(["https://pacs.example.org/hooks", "http://10.0.0.7:8080/in/"])


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
def test_any_other_address_is_refused(address: str) -> None:
    with pytest.raises(WebhookRefused):
        SITE.check(address)


def test_without_a_list_nothing_is_allowed() -> None:
    with pytest.raises(WebhookRefused):
        AllowedAddresses([]).check("https://pacs.example.org/hooks")


def test_an_invalid_list_stops_the_start() -> None:
    with pytest.raises(ValueError, match="absolute"):
        AllowedAddresses(["pacs.example.org"])
