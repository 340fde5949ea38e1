from itertools import islice
from pathlib import Path

import pytest

from services.common.addenda import Addendum
from services.common.bundle_signature import TrustedKeys
from services.common.card import open_bundle
from tests.addenda import addendum_of
from tests.bundles import write_bundle
from tests.training.bundle.test_sign import keys_of
from training.bundle.verify import verify
from training.cli.app import main

WORDS = "all head CTs of the emergency department in 2025"


def _run(folder: Path, addendum: Addendum) -> Path:
    folder.mkdir()
    (folder / "addendum.json").write_text(addendum.model_dump_json())
    return folder


def _files(bundle: Path) -> dict[str, bytes]:
    found = (path for path in bundle.rglob("*") if path.is_file() and "addenda" not in path.parts)
    return {str(path.relative_to(bundle)): path.read_bytes() for path in found}


def test_an_evaluation_is_attached_and_the_bundle_keeps_its_bytes(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    before, run = _files(bundle), _run(tmp_path / "run", addendum_of(bundle))
    main(["attach-evaluation", str(bundle), str(run), "--data", WORDS])
    (attached,) = open_bundle(bundle).addenda.accepted
    assert (attached.data, attached.patients) == (WORDS, 240)
    assert _files(bundle) == before
    checks = f"{bundle}: the addendum {attached.id} is about this card: 240 patients, {WORDS}"
    assert checks in islice(verify(bundle), 2)


def test_a_signed_addendum_is_trusted_by_the_key_of_the_bundle(tmp_path: Path) -> None:
    private, public = keys_of(tmp_path)
    bundle = write_bundle(tmp_path / "bundle")
    main(["sign", str(bundle), "--key", str(private)])
    run = _run(tmp_path / "run", addendum_of(bundle))
    main(["attach-evaluation", str(bundle), str(run), "--data", WORDS, "--key", str(private)])
    assert len(open_bundle(bundle, TrustedKeys.read(public)).addenda.accepted) == 1
    assert "is about this card" in list(islice(verify(bundle, public), 3))[2]

    main(["attach-evaluation", str(bundle), str(run), "--data", f"{WORDS}, again"])  # without a key
    with pytest.raises(SystemExit, match=r"2026-11-28-site\.json is refused: it is not signed"):
        main(["verify", str(bundle), "--keys", str(public)])


def test_an_evaluation_of_another_card_is_refused_by_name(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    run = _run(tmp_path / "run", addendum_of(write_bundle(tmp_path / "other", name="other")))
    with pytest.raises(SystemExit, match=r"addendum\.json is about the card [0-9a-f]{12} of 'other'"):
        main(["attach-evaluation", str(bundle), str(run), "--data", WORDS])
    assert not (bundle / "addenda").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [("100 phantoms", "figures on patients only"), ("", "at least 1 character"), ("x" * 501, "at most 500 characters")],
)
def test_data_that_are_no_patients_or_have_no_description_are_refused(tmp_path: Path, data: str, message: str) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    run = _run(tmp_path / "run", addendum_of(bundle))
    with pytest.raises(SystemExit, match=message):
        main(["attach-evaluation", str(bundle), str(run), "--data", data])


def test_a_folder_without_an_evaluation_is_named(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    with pytest.raises(SystemExit, match=r"holds no addendum\.json: name the folder"):
        main(["attach-evaluation", str(bundle), str(tmp_path), "--data", WORDS])
