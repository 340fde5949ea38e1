"""Attaches an evaluation on a site's files to the bundle that was measured, as an addendum; the card stays as it is."""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from services.common.addenda import MAX_ADDENDA, Addendum
from services.common.bundle_files import ADDENDA_NAME
from services.common.bundle_signature import sign_addendum
from services.common.card import open_bundle, says_synthetic
from training.io.errors import TrainingError
from training.io.files import write_atomically

ADDENDUM: Final = "addendum.json"  # in the folder of an evaluation


def attach_evaluation(folder: Path, run: Path, data: str, key: Ed25519PrivateKey | None) -> tuple[Path, Addendum]:
    """Write the addendum of an evaluation into the bundle's folder, signed where a key is given; return its path.

    Parameters
    ----------
    run : folder that `python -m training evaluate --files` wrote
    data : description of the patients, in place of the folder's name

    Raises
    ------
    BundleError
        the folder is no bundle
    TrainingError
        the evaluation is missing, of another card or not of patients, or the bundle has too many addenda
    """
    addendum = _described(read_evaluation(run), data)
    bundle = open_bundle(folder)
    if addendum.card_sha256 != bundle.card_sha256:
        raise TrainingError(
            f"{run / ADDENDUM} is about the card {addendum.card_sha256[:12]} of {addendum.bundle!r}, {folder} has the "
            f"card {bundle.card_sha256[:12]}: measure this bundle by `python -m training evaluate --bundle {folder} "
            "--files STUDIES --labels LABELS.csv`."
        )
    path = folder / ADDENDA_NAME / f"{addendum.id}.json"
    if not path.exists() and len(bundle.addenda.accepted) + len(bundle.addenda.refused) >= MAX_ADDENDA:
        raise TrainingError(f"{path.parent} has {MAX_ADDENDA} addenda already: remove older ones.")
    _write(path, addendum, key)
    return path, addendum


def read_evaluation(run: Path) -> Addendum:
    """Read the addendum in the folder of an evaluation; TrainingError where there is none."""
    try:
        return Addendum.model_validate_json((run / ADDENDUM).read_bytes())
    except OSError:
        raise TrainingError(
            f"{run} holds no {ADDENDUM}: name the folder that `python -m training evaluate --files --out` wrote."
        ) from None
    except ValidationError as error:
        raise TrainingError(f"{run / ADDENDUM} is no evaluation: {error.errors()[0]['msg']}.") from None


def _described(addendum: Addendum, data: str) -> Addendum:
    if says_synthetic(data):
        raise TrainingError("--data says that the data are synthetic: an addendum holds figures on patients only.")
    try:
        return Addendum.model_validate(addendum.model_dump() | {"data": data})
    except ValidationError as error:
        raise TrainingError(f"--data: {error.errors()[0]['msg']}.") from None


def _write(path: Path, addendum: Addendum, key: Ed25519PrivateKey | None) -> None:
    content, signature = addendum.model_dump_json(indent=1).encode() + b"\n", path.with_name(f"{path.name}.sig")
    path.parent.mkdir(exist_ok=True)
    signature.unlink(missing_ok=True)  # of an earlier content
    write_atomically(path, lambda part: part.write_bytes(content))
    if key:
        signed = sign_addendum(content, key)
        write_atomically(signature, lambda part: part.write_bytes(signed))
