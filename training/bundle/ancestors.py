"""Ancestors of a bundle: the bundles whose weights went into its CNN, as its card's flat list."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from services.common.card import open_bundle

NESTED: Final = ("begins_as", "stirred_in", "stirred")  # of older cards: two nested records, and a share of weights


def list_ancestors(begin: Path | None, soup: Path | None, soup_weight: float) -> list[dict[str, Any]]:
    """The ancestors of a new bundle, nearest first; empty without any.

    Parameters
    ----------
    begin : folder of the bundle that gives the CNN's initial weights
    soup : folder of the bundle whose weights are interpolated with the trained ones
    soup_weight : the share of `soup` in the CNN's weights, 0 to 1

    Raises
    ------
    BundleError
        a folder holds no bundle whose files match its card
    """
    folders = {"begins_as": begin, "stirred_in": soup}
    records = {part: _record(folder) for part, folder in folders.items() if folder}
    return ancestors_of(records | {"stirred": soup_weight})


def ancestors_of(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ancestors that a card's `training` lists, nearest first; also reads the nested records of older cards.

    An entry holds the ancestor's own `training` and these keys:

    name, card_sha256 : of the ancestor
    used_by : `card_sha256` of the descendant; None for the card's own bundle
    initial_weights : whether the descendant's CNN began with its weights
    soup_weight : its share in the descendant's CNN, 0 to 1, by interpolation; None without
    """
    return list(_walk(training, None))


def _walk(training: Mapping[str, Any], used_by: str | None) -> Iterator[dict[str, Any]]:
    for entry in training.get("ancestors", ()):
        yield {**entry, "used_by": entry["used_by"] or used_by}
    begin, soup = (training.get(part) for part in NESTED[:2])
    direct = {record["card_sha256"]: record for record in (begin, soup) if record}
    for digest, record in direct.items():
        own = {key: value for key, value in record.items() if key not in (*NESTED, "ancestors")}
        yield {
            "name": own.pop("name"),
            "card_sha256": own.pop("card_sha256"),
            "used_by": used_by,
            "initial_weights": begin is not None and begin["card_sha256"] == digest,
            "soup_weight": training["stirred"] if soup and soup["card_sha256"] == digest else None,
            **own,
        }
        yield from _walk(record, digest)


def _record(folder: Path) -> dict[str, Any]:
    bundle = open_bundle(folder)
    return {**bundle.card.training, "name": bundle.card.name, "card_sha256": bundle.card_sha256}
