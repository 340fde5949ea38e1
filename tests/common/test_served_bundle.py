import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.common.bundle_signature import key_id, sign_card
from services.common.card import BundleError
from services.common.served_bundle import private_copy, served_bundle
from tests.bundles import write_bundle, write_public_keys, write_signed_bundle

KEY = Ed25519PrivateKey.generate()
DEFAULT = Path("models/default")
CREATE = """
import sys
{1}
from services.{0}.app import create
try:
    app = create()
    print(app.title, app.state.livez["engine"].split()[0], "tensorflow" in sys.modules)
except SystemExit:
    assert not sys.modules.get("tensorflow")
    raise
"""


def test_the_copy_holds_one_network_readable_by_its_owner_alone(tmp_path: Path) -> None:
    with private_copy(write_bundle(tmp_path), None, "rnn") as bundle:
        files = [path.relative_to(bundle.folder).as_posix() for path in bundle.folder.rglob("*") if path.is_file()]
        assert files == ["rnn/1/saved_model.pb"]
        assert bundle.folder.stat().st_mode & 0o777 == 0o700
        assert bundle.folder.parent == Path(gettempdir())
    assert not bundle.folder.exists()


def test_a_file_swapped_after_the_check_is_not_the_one_that_is_loaded(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    with private_copy(tmp_path, None, "cnn") as bundle:
        (tmp_path / "cnn" / "1" / "saved_model.pb").write_bytes(b"swapped")
        assert (bundle.saved_model("cnn") / "saved_model.pb").read_bytes() == b"cnn"


def test_an_unusable_file_of_keys_refuses_the_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not readable"), private_copy(write_bundle(tmp_path), tmp_path / "no", "cnn"):
        pass


def test_a_refusal_is_logged_by_name_and_ends_the_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = write_public_keys(tmp_path / "keys.pem", KEY)
    refused = served_bundle(write_bundle(tmp_path / "bundle"), keys, "cnn")
    with pytest.raises(SystemExit) as ended, refused:
        pass
    assert ended.value.code == 1
    assert f"the bundle is refused: {tmp_path / 'bundle'}: the bundle is not signed" in caplog.text


WITHOUT_TENSORFLOW = 'sys.modules["tensorflow"] = None'


def _create(service: str, environment: Mapping[str, str], before: str = "") -> subprocess.CompletedProcess[str]:
    """Create a service as uvicorn does."""
    command = [sys.executable, "-c", CREATE.format(service, before)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def _signed_default(folder: Path) -> Path:
    """A signed copy of the default bundle."""
    shutil.copytree(DEFAULT, folder)
    (folder / "card.json.sig").write_bytes(sign_card((folder / "card.json").read_bytes(), KEY))
    return folder


SMALL = {"ICH_CNN_MAX_BATCH": "1"}


@pytest.mark.parametrize(
    ("service", "options", "before", "engine"),
    [
        ("cnn", SMALL, "", "openvino False"),
        ("cnn", {**SMALL, "ICH_CNN_ENGINE": "tensorflow"}, "", "tensorflow True"),
        ("cnn", SMALL, WITHOUT_TENSORFLOW, "openvino True"),
        ("rnn", {}, "", "openvino False"),
        ("rnn", {"ICH_RNN_ENGINE": "tensorflow"}, "", "tensorflow True"),
    ],
    ids=["cnn", "cnn-tensorflow", "cnn-without-tensorflow", "rnn", "rnn-tensorflow"],
)
def test_a_service_serves_a_signed_bundle(
    tmp_path: Path, service: str, options: Mapping[str, str], before: str, engine: str
) -> None:
    keys, folder = write_public_keys(tmp_path / "keys.pem", KEY), _signed_default(tmp_path / "bundle")
    prefix = f"ICH_{service.upper()}_"
    done = _create(service, {f"{prefix}BUNDLE": str(folder), f"{prefix}BUNDLE_KEYS": str(keys), **options}, before)
    assert (done.returncode, done.stdout) == (0, f"{service} {engine}\n"), done.stderr
    assert f'"signed_by": "{key_id(KEY.public_key())}"' in done.stderr


def test_tensorflow_that_is_not_installed_stops_the_start() -> None:
    done = _create("cnn", {"ICH_CNN_ENGINE": "tensorflow"}, WITHOUT_TENSORFLOW)
    assert done.returncode == 1
    assert "TensorFlow is not installed: install requirements/cnn.txt, or set ICH_CNN_ENGINE=auto" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("service", ["cnn", "rnn"])
@pytest.mark.parametrize("fault", ["unsigned", "foreign", "altered", "link"])
def test_a_service_refuses_another_bundle_before_it_loads_tensorflow(tmp_path: Path, service: str, fault: str) -> None:
    signer = Ed25519PrivateKey.generate() if fault == "foreign" else KEY
    folder = write_signed_bundle(tmp_path / "bundle", signer)
    if fault == "unsigned":
        (folder / "card.json.sig").unlink()
    elif fault == "altered":
        (folder / "card.json").write_text((folder / "card.json").read_text().replace("fakes", "other"))
    elif fault == "link":
        (folder / service).rename(tmp_path / "elsewhere")
        (folder / service).symlink_to(tmp_path / "elsewhere")
    keys, prefix = write_public_keys(tmp_path / "keys.pem", KEY), f"ICH_{service.upper()}_"
    (temporary := tmp_path / "temporary").mkdir()
    bundle = {f"{prefix}BUNDLE": str(folder), f"{prefix}BUNDLE_KEYS": str(keys)}
    done = _create(service, {**bundle, "TMPDIR": str(temporary)})
    assert done.returncode == 1
    assert list(temporary.iterdir()) == []
    assert f"the bundle is refused: {folder}: " in done.stderr
    assert "Traceback" not in done.stderr
