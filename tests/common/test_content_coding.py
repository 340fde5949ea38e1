from services.common.content_coding import is_identity_coding


def test_codings_of_a_body() -> None:
    assert all(is_identity_coding(coding) for coding in ("", "identity", "Identity, identity"))
    assert not any(is_identity_coding(coding) for coding in ("gzip", "identity, br", "deflate", "zstd"))
