import json
import re
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from services.common.bundle_files import BundleFault
from services.common.bundle_signature import PREFIX, TrustedKeys, key_id, sign_card
from services.common.card import BundleError, open_bundle
from tests.bundles import write_bundle, write_public_keys, write_signed_bundle

OWN, FOREIGN = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
TRUSTED = TrustedKeys({key_id(OWN.public_key()): OWN.public_key()})
CARD = b'{"name": "a card"}'


def test_a_trusted_signature_gives_the_id_of_its_key() -> None:
    assert TRUSTED.check(CARD, sign_card(CARD, OWN)) == key_id(OWN.public_key())


def _altered(**members: str) -> bytes:
    return json.dumps({**json.loads(sign_card(CARD, OWN)), **members}).encode()


def _signed_without_prefix() -> bytes:
    return _altered(signature=b64encode(OWN.sign(CARD)).decode())


@pytest.mark.parametrize(
    ("card", "signature", "message"),
    [
        (CARD, None, r"not signed \(no card\.json\.sig\).*training sign"),
        (CARD, sign_card(CARD, FOREIGN), f"{key_id(FOREIGN.public_key())} that signed the bundle is not trusted"),
        (CARD + b" ", sign_card(CARD, OWN), r"card\.json is not the one that key"),
        (CARD, _altered(key_id=key_id(FOREIGN.public_key())), "is not trusted"),
        (CARD, _altered(signature=b64encode(bytes(64)).decode()), r"card\.json is not the one"),
        (CARD, _signed_without_prefix(), r"card\.json is not the one"),
        (CARD, _altered(format="another"), "is no signature of a bundle"),
        (CARD, _altered(more=""), "is no signature of a bundle"),
        (CARD, b"", "is no signature of a bundle"),
        (CARD, b"\xff" * 100, "is no signature of a bundle"),
        (CARD, b"[" * 4000, "is no signature of a bundle"),
    ],
)
def test_another_signature_is_refused_with_its_remedy(card: bytes, signature: bytes | None, message: str) -> None:
    with pytest.raises(BundleFault, match=message) as refused:
        TRUSTED.check(card, signature)
    assert "python -m training sign" in str(refused.value)


def test_a_bundle_is_opened_by_a_trusted_signature_only(tmp_path: Path) -> None:
    signed = write_signed_bundle(tmp_path / "signed", OWN)
    assert open_bundle(signed, TRUSTED).signed_by == key_id(OWN.public_key())
    for folder in (write_bundle(tmp_path / "unsigned"), write_signed_bundle(tmp_path / "foreign", FOREIGN)):
        with pytest.raises(BundleError, match=f"^{folder}: .*sign"):
            open_bundle(folder, TRUSTED)
        assert open_bundle(folder).signed_by is None


def test_the_signature_is_checked_before_the_card_is_parsed(tmp_path: Path) -> None:
    folder = write_signed_bundle(tmp_path, OWN)
    (folder / "card.json").write_bytes(b"no JSON")
    with pytest.raises(BundleError, match="is not the one that key"):
        open_bundle(folder, TRUSTED)


def test_two_keys_are_trusted_while_they_rotate(tmp_path: Path) -> None:
    both = TrustedKeys.read(write_public_keys(tmp_path / "keys.pem", OWN, FOREIGN))
    for key in (OWN, FOREIGN):
        assert both.check(CARD, sign_card(CARD, key)) == key_id(key.public_key())


def _pem(key: object) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]
    return pem


def _public_pem_of_another_kind() -> bytes:
    return generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected public keys in PEM"),
        (_pem(OWN), "expected public keys in PEM"),
        (_public_pem_of_another_kind(), "is not Ed25519"),
        (b"-----BEGIN PUBLIC KEY-----\nMCo\n-----END PUBLIC KEY-----\n", "cannot be read"),
        (b"x" * 70_000, "at most 65536 bytes"),
    ],
)
def test_an_unusable_file_of_keys_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "keys.pem"
    path.write_bytes(content)
    with pytest.raises(BundleFault, match=f"^{path}: .*{message}"):
        TrustedKeys.read(path)


def test_a_private_key_beside_a_public_one_is_refused(tmp_path: Path) -> None:
    path = write_public_keys(tmp_path / "keys.pem", OWN)
    path.write_bytes(path.read_bytes() + _pem(FOREIGN))
    with pytest.raises(BundleFault, match="nothing else between BEGIN lines"):
        TrustedKeys.read(path)


def test_a_file_of_keys_that_others_can_write_is_refused(tmp_path: Path) -> None:
    path = write_public_keys(tmp_path / "keys.pem", OWN)
    path.chmod(0o664)
    with pytest.raises(BundleFault, match=r"chmod go-w"):
        TrustedKeys.read(path)


@pytest.mark.parametrize("name", ["none.pem", "."])
def test_a_missing_file_of_keys_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleFault, match="not readable"):
        TrustedKeys.read(tmp_path / name)


def test_openssl_verifies_a_signature_and_computes_the_id(tmp_path: Path) -> None:
    keys = write_public_keys(tmp_path / "keys.pem", OWN)
    document = json.loads(sign_card(CARD, OWN))
    (tmp_path / "message").write_bytes(PREFIX + CARD)
    (tmp_path / "signature").write_bytes(b64decode(document["signature"]))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", str(keys)]
    files = ["-in", str(tmp_path / "message"), "-sigfile", str(tmp_path / "signature")]
    subprocess.run([*verify, *files], check=True, capture_output=True)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", str(keys), "-outform", "DER"], check=True, capture_output=True
    ).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256"], input=der, check=True, capture_output=True).stdout
    assert re.search(rb"[0-9a-f]{64}", digest)[0].decode() == document["key_id"]  # type: ignore[index]
