import pytest

from services.common.identity.oidc.claims import Expected, roles_of


@pytest.mark.parametrize(
    ("claims", "path", "roles"),
    [
        ({"roles": ["read", "admin", "other"]}, "roles", {"read", "admin"}),
        ({"scope": "openid read_all submit"}, "scope", {"read_all", "submit"}),
        ({"realm_access": {"roles": ["read"]}}, "realm_access.roles", {"read"}),
        ({"https://example.org/roles": ["read"]}, "https://example.org/roles", {"read"}),
        ({"realm_access": ["read"]}, "realm_access.roles", set()),
        ({"roles": {"read": True}}, "roles", set()),
        ({"roles": [["read"], {"read": 1}, 7]}, "roles", set()),
        ({"roles": "readers"}, "roles", set()),
        ({}, "roles", set()),
    ],
)
def test_roles_are_read_from_lists_texts_and_objects(claims: dict[str, object], path: str, roles: set[str]) -> None:
    assert roles_of(claims, Expected("", "", path)) == roles


def test_a_prefix_keeps_roles_of_other_meanings_out() -> None:
    expected = Expected("", "", "groups", "ich-")
    assert roles_of({"groups": ["admin", "ich-read", "ICH-submit", "ich-"]}, expected) == {"read"}
