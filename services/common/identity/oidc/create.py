"""The verifier of a site's access tokens."""

from services.common.identity.oidc.claims import Expected
from services.common.identity.oidc.provider import Provider
from services.common.identity.oidc.signing_keys import SigningKeys
from services.common.identity.oidc.verifier import TokenVerifier
from services.common.identity.settings import IdentitySettings


def token_verifier(settings: IdentitySettings) -> TokenVerifier | None:
    """The verifier of the settings; None where they name no issuer.

    Raises
    ------
    OSError
        the file of authorities cannot be read
    """
    if not settings.oidc_issuer or not settings.oidc_audience:
        return None
    keys = SigningKeys(Provider(settings.oidc_issuer, settings.oidc_ca_file), settings.oidc_keys_keep_s)
    expected = Expected(settings.oidc_issuer, settings.oidc_audience, settings.oidc_roles_claim, settings.roles_prefix)
    return TokenVerifier(keys, expected, settings.oidc_algorithms)
