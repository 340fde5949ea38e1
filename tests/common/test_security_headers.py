import pytest

from services.common.security_headers import PAGE_POLICY, page_policy


@pytest.mark.parametrize(
    ("issuer", "sources"),
    [
        ("https://login.example.org/realms/site", "connect-src 'self' https://login.example.org"),
        ("http://127.0.0.1:9000", "connect-src 'self' http://127.0.0.1:9000"),
    ],
)
def test_a_page_fetches_from_its_provider_alone(issuer: str, sources: str) -> None:
    assert page_policy(issuer) == f"{PAGE_POLICY}; {sources}"


def test_a_page_without_a_provider_fetches_from_its_server_alone() -> None:
    assert page_policy(None) == PAGE_POLICY
    assert "connect-src" not in PAGE_POLICY
