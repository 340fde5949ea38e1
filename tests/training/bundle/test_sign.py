import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.common.bundle_signature import TrustedKeys
from services.common.card import BundleError, open_bundle
from tests.bundles import write_bundle
from training.bundle.sign import read_private_key, sign_bundle
from training.cli.app import main
from training.io.errors import TrainingError

WORDS = "correct horse battery staple"


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def keys_of(folder: Path, *, encrypted: bool = False) -> tuple[Path, Path]:
    """A private key and its public key, as the how-to makes them."""
    private, public = folder / "private.pem", folder / "public.pem"
    plain = folder / "plain.pem" if encrypted else private
    openssl("genpkey", "-algorithm", "ed25519", "-out", plain)
    openssl("pkey", "-in", plain, "-pubout", "-out", public)
    if encrypted:
        openssl("pkey", "-in", plain, "-aes256", "-passout", f"pass:{WORDS}", "-out", private)
    private.chmod(0o600)
    return private, public


def asked() -> bytes:
    raise AssertionError("no passphrase is needed")


def test_a_signed_bundle_is_trusted_by_the_public_key(tmp_path: Path) -> None:
    private, public = keys_of(tmp_path)
    bundle = write_bundle(tmp_path / "bundle")
    main(["sign", str(bundle), "--key", str(private)])
    opened = open_bundle(bundle, TrustedKeys.read(public))
    assert opened.signed_by == json.loads((bundle / "card.json.sig").read_text())["key_id"]


def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path) -> None:
    private, public = keys_of(tmp_path, encrypted=True)
    bundle, words = write_bundle(tmp_path / "bundle"), tmp_path / "words"
    words.write_text(f"{WORDS}\n")
    words.chmod(0o600)
    main(["sign", str(bundle), "--key", str(private), "--passphrase-file", str(words)])
    assert open_bundle(bundle, TrustedKeys.read(public)).signed_by
    with pytest.raises(TrainingError, match="its passphrase is another one"):
        read_private_key(private, lambda: b"wrong")


def test_an_encrypted_key_without_a_terminal_ends_in_a_sentence(tmp_path: Path) -> None:
    private, _ = keys_of(tmp_path, encrypted=True)
    command = [sys.executable, "-m", "training", "sign", str(write_bundle(tmp_path / "bundle")), "--key", str(private)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True
    )
    assert done.returncode == 1
    assert "is encrypted: give its passphrase by --passphrase-file." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_key_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    private, _ = keys_of(tmp_path)
    private.chmod(mode)
    with pytest.raises(TrainingError, match="chmod 600"):
        read_private_key(private, asked)


def test_a_passphrase_that_others_can_read_is_refused(tmp_path: Path) -> None:
    private, _ = keys_of(tmp_path, encrypted=True)
    words = tmp_path / "words"
    words.write_text(WORDS)
    words.chmod(0o644)
    with pytest.raises(SystemExit, match="words is open to other users"):
        main(["sign", str(write_bundle(tmp_path / "b")), "--key", str(private), "--passphrase-file", str(words)])


@pytest.mark.parametrize("content", [b"", b"no key", b"x" * 20_000])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "private.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(TrainingError, match="is no "):
        read_private_key(path, asked)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "private.pem"
    openssl("genpkey", "-algorithm", "x25519", "-out", path)
    with pytest.raises(TrainingError, match="not an Ed25519 key"):
        read_private_key(path, asked)


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read: No such file"):
        read_private_key(tmp_path / "none.pem", asked)


@pytest.mark.parametrize("fault", ["altered", "link"])
def test_a_bundle_that_differs_from_its_card_is_not_signed(tmp_path: Path, fault: str) -> None:
    private, _ = keys_of(tmp_path)
    bundle = write_bundle(tmp_path / "bundle")
    graph = bundle / "cnn" / "1" / "saved_model.pb"
    if fault == "link":
        graph.rename(tmp_path / "graph.pb")
        graph.symlink_to(tmp_path / "graph.pb")
    else:
        graph.write_bytes(b"other")
    with pytest.raises(BundleError, match=r"cnn/1/saved_model\.pb"):
        sign_bundle(bundle, read_private_key(private, asked))
    assert not (bundle / "card.json.sig").exists()


def test_signing_again_replaces_the_signature(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        private, public = keys_of(tmp_path / name)
        sign_bundle(bundle, read_private_key(private, asked))
        assert open_bundle(bundle, TrustedKeys.read(public)).signed_by
    with pytest.raises(BundleError, match="is not trusted"):
        open_bundle(bundle, TrustedKeys.read(tmp_path / "old" / "public.pem"))


def test_signing_loads_no_tensorflow(tmp_path: Path) -> None:
    private, _ = keys_of(tmp_path)
    code = (
        "import sys; from training.cli.app import main; main(sys.argv[1:]); "
        "assert not {'tensorflow', 'keras'} & sys.modules.keys()"
    )
    arguments = ["sign", str(write_bundle(tmp_path / "bundle")), "--key", str(private)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, env=dict(os.environ))
