import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.common.addenda import MAX_ADDENDA, wilson
from services.common.bundle_signature import TrustedKeys, sign_addendum, sign_card
from services.common.card import BundleError, open_bundle
from services.common.labels import LABELS
from tests.addenda import addendum_of, write_addendum
from tests.bundles import write_bundle, write_public_keys, write_signed_bundle


def _refused(bundle: Path, trusted: TrustedKeys | None = None) -> dict[str, str]:
    found = open_bundle(bundle, trusted).addenda
    assert found.accepted == ()
    return {each.name: each.why for each in found.refused}


def test_an_addendum_is_read_and_the_card_stays_as_it_is(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    before = open_bundle(bundle)
    addendum = addendum_of(bundle)
    write_addendum(bundle, addendum)
    after = open_bundle(bundle)
    assert after.addenda.accepted == (addendum,)
    assert (after.card, after.card_sha256, before.addenda.accepted) == (before.card, before.card_sha256, ())


def test_an_addendum_of_another_card_is_refused_by_name(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    other = addendum_of(write_bundle(tmp_path / "other", name="other"), "of-another")
    write_addendum(bundle, other)
    why = _refused(bundle)["of-another.json"]
    assert other.card_sha256[:12] in why
    assert open_bundle(bundle).card_sha256[:12] in why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": "renamed"}, "give the file this name"),
        ({"patients": 0}, "patients: Input should be greater than or equal to 1"),
        ({"unknown": 1}, "unknown: Extra inputs"),
        ({"figures": {"slice": {}, "series": {}}}, "figures must be given for any"),
    ],
)
def test_a_faulty_addendum_is_refused_by_name(tmp_path: Path, change: dict[str, object], why: str) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    path = write_addendum(bundle, addendum_of(bundle))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert why in _refused(bundle)[path.name]


def test_counts_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    path = write_addendum(bundle, addendum_of(bundle))
    path.write_text(path.read_text().replace('"tp":45', '"tp":49', 1))
    assert "do not add up" in _refused(bundle)[path.name]


def test_links_and_large_files_are_not_read(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    real = write_addendum(bundle, addendum_of(bundle))
    real.rename(tmp_path / "elsewhere.json")
    real.symlink_to(tmp_path / "elsewhere.json")
    (real.parent / "large.json").write_bytes(b" " * 300_000)
    refused = _refused(bundle)
    assert "symbolic link" in refused[real.name]
    assert "65536 bytes" in refused["large.json"]


def test_a_bundle_whose_addenda_are_no_folder_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (bundle / "addenda").symlink_to(tmp_path)
    with pytest.raises(BundleError, match="addenda"):
        open_bundle(bundle)


def test_more_addenda_than_the_limit_are_refused_by_name(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    for number in range(MAX_ADDENDA + 1):
        write_addendum(bundle, addendum_of(bundle, f"a-{number:02}"))
    found = open_bundle(bundle).addenda
    assert len(found.accepted) == MAX_ADDENDA
    assert [(each.name, "at most 20" in each.why) for each in found.refused] == [("a-20.json", True)]


def test_a_site_that_requires_signatures_accepts_signed_addenda_only(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    bundle = write_signed_bundle(tmp_path / "bundle", key)
    trusted = TrustedKeys.read(write_public_keys(tmp_path / "keys.pem", key))
    path = write_addendum(bundle, addendum_of(bundle))
    assert "it is not signed" in _refused(bundle, trusted)[path.name]

    signature = path.with_name(f"{path.name}.sig")
    signature.write_bytes(sign_addendum(path.read_bytes(), Ed25519PrivateKey.generate()))
    assert "is not trusted" in _refused(bundle, trusted)[path.name]
    signature.write_bytes(sign_card(path.read_bytes(), key))  # a signature for another purpose
    assert "is not the one that key" in _refused(bundle, trusted)[path.name]

    signature.write_bytes(sign_addendum(path.read_bytes(), key))
    assert [each.id for each in open_bundle(bundle, trusted).addenda.accepted] == [path.stem]
    path.write_text(path.read_text().replace("a site", "another site"))
    assert "is not the one that key" in _refused(bundle, trusted)[path.name]


@pytest.mark.parametrize(
    ("hits", "cases", "low", "high"),
    [  # Newcombe, Stat Med 1998;17:857, table I: method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_those_of_newcombe(hits: int, cases: int, low: float, high: float) -> None:
    found = wilson(hits, cases)
    assert found is not None
    assert (found.low, found.high) == (low, high)


RATES = {"sensitivity": 0.9388, "specificity": 0.94}
LABEL = {"positives": 49, "negatives": 50, "auc": 0.97, "auc_95_interval": [0.92, 0.99], "default": RATES}
REAL = {"patients": 99, "slice": dict.fromkeys(LABELS, LABEL), "series": dict.fromkeys(LABELS, LABEL)}


def test_a_card_measured_on_patients_gives_its_counts(tmp_path: Path) -> None:
    card = open_bundle(write_bundle(tmp_path / "bundle")).card
    found = card.model_copy(update={"metrics": REAL | {"data": "held-out fold"}}).patient_figures
    assert found is not None
    counts = found.series["any"].points["default"]
    assert (counts.tp, counts.fp, counts.tn, counts.fn) == (46, 3, 47, 3)


@pytest.mark.parametrize(
    ("metrics", "terms"),
    [
        ({"data": "synthetic phantoms: the fixed set"}, "terms"),
        (REAL | {"data": "synthetic archive"}, "terms"),
        (REAL | {"data": "a site's own"}, "synthetic, generated by this repository"),
        ({}, "none"),
        (REAL | {"slice": {}}, "terms"),
        (REAL | {"series": dict.fromkeys(LABELS, LABEL | {"positives": None})}, "terms"),
    ],
)
def test_figures_of_phantoms_are_never_taken_for_those_of_patients(
    tmp_path: Path, metrics: dict[str, object], terms: str
) -> None:
    card = open_bundle(write_bundle(tmp_path / "bundle")).card
    assert card.model_copy(update={"metrics": metrics, "data_terms": terms}).patient_figures is None
    assert open_bundle(Path("models/default")).card.patient_figures is None
