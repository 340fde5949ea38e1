"""A small bundle with fake networks."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.common.bundle_files import CARD_NAME, SIGNATURE_NAME, hash_files
from services.common.bundle_signature import sign_card
from services.common.card import Bundle, Card, open_bundle
from services.common.labels import LABELS
from services.common.operating_points import Thresholds
from services.common.recipe import DEFAULT_RECIPE, Recipe

FEATURE_SIZE = 6


def write_bundle(
    folder: Path,
    *,
    name: str = "fake",
    recipe: Recipe = DEFAULT_RECIPE,
    spacing_mm: tuple[float, float] | None = None,
    blood_grid: tuple[int, int] | None = None,
) -> Path:
    """Write a valid bundle; its SavedModels hold no graphs."""
    for part in ("cnn", "rnn"):
        (folder / part / "1").mkdir(parents=True)
        (folder / part / "1" / "saved_model.pb").write_bytes(part.encode())
    even = Thresholds(slice=dict.fromkeys(LABELS, 0.5), series=dict.fromkeys(LABELS, 0.5))
    low = Thresholds(slice=dict.fromkeys(LABELS, 0.1), series=dict.fromkeys(LABELS, 0.1))
    card = Card(
        name=name,
        description="fakes for tests",
        created="2026-01-01",
        labels=LABELS,
        recipe=recipe,
        feature_size=FEATURE_SIZE,
        spacing_mm=spacing_mm,
        blood_grid=blood_grid,
        files=hash_files(folder),
        versions={},
        training={},
        metrics={},
        temperatures={},
        thresholds={"default": even, "sensitive": low},
        licence="Apache-2.0",
        data_terms="none",
        limits_of_use=(),
    )
    (folder / "card.json").write_text(card.model_dump_json())
    return folder


def fake_bundle(
    folder: Path,
    *,
    name: str = "fake",
    recipe: Recipe = DEFAULT_RECIPE,
    spacing_mm: tuple[float, float] | None = None,
    blood_grid: tuple[int, int] | None = None,
) -> Bundle:
    """Write and open a bundle."""
    return open_bundle(write_bundle(folder, name=name, recipe=recipe, spacing_mm=spacing_mm, blood_grid=blood_grid))


def write_signed_bundle(folder: Path, key: Ed25519PrivateKey) -> Path:
    """Write a valid bundle and its signature."""
    write_bundle(folder)
    (folder / SIGNATURE_NAME).write_bytes(sign_card((folder / CARD_NAME).read_bytes(), key))
    return folder


def write_public_keys(path: Path, *keys: Ed25519PrivateKey) -> Path:
    """Write a file of trusted keys."""
    pem = (key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in keys)
    path.write_bytes(b"".join(pem))
    return path
