"""Writes the CNN's graph of a bundle anew, as this version exports it; weights, RNN and operating points stay."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from services.common.bundle_files import ADDENDA_NAME, CARD_NAME, SIGNATURE_NAME, hash_files
from services.common.card import Bundle, Card
from training.bundle.build_card import record_change, utc_now
from training.bundle.export import replace_graph
from training.bundle.verify import verify
from training.evaluate.served_bundle import read_bundle
from training.io.errors import TrainingError
from training.io.files import write_atomically
from training.networks.classifier import ClassifierShape, build_classifier
from training.networks.cnn import CnnShape, build_cnn
from training.train.initial_weights import load_bundle

COMMAND = "python -m training update-graph BUNDLE --out FOLDER"


def update_graph(folder: Path, out: Path, shape: CnnShape | ClassifierShape) -> Iterator[str]:
    """Write a bundle to the new folder `out` with a new graph; yield the lines of its verification.

    Raises
    ------
    TrainingError
        the folder is no bundle or has another network, `out` exists, or an output differs from its reference
    """
    bundle = read_bundle(folder)
    if out.exists():
        raise TrainingError(f"{out} exists: give a folder that does not.")
    cnn = build_cnn(shape) if isinstance(shape, CnnShape) else build_classifier(shape)
    load_bundle(folder, cnn)
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns(CARD_NAME, SIGNATURE_NAME, ADDENDA_NAME))
    replace_graph(out, cnn)
    content = _updated_card(bundle, out)
    write_atomically(out / CARD_NAME, lambda part: part.write_text(content))
    try:
        yield from verify(out)
    except TrainingError:
        (out / CARD_NAME).unlink()
        raise


def _updated_card(bundle: Bundle, out: Path) -> str:
    """Return the card with the new files, recorded in `created` and `training.graph`."""
    before = (bundle.folder / CARD_NAME).read_bytes()
    document = json.loads(before)
    change = record_change(before, document["created"], COMMAND)
    document |= {
        "created": utc_now(),
        "training": document["training"] | {"graph": change},
        "files": hash_files(out),
    }
    Card.model_validate(document)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
