"""Builds the card of a new bundle."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from services.common.card import Card
from services.common.labels import LABELS
from services.common.recipe import DEFAULT_RECIPE
from training.configs.config import CardText


def build_card(words: CardText, **fields: Any) -> Card:
    """Return a card with the texts of a configuration, the time and the versions of the libraries.

    Parameters
    ----------
    fields : all other fields of `Card`
    """
    return Card(
        name=words.name,
        description=words.description,
        created=utc_now(),
        labels=LABELS,
        recipe=DEFAULT_RECIPE,
        versions=library_versions(),
        licence=words.licence,
        data_terms=words.data_terms,
        limits_of_use=words.limits_of_use,
        **fields,
    )


def record_change(before: bytes, created: str, command: str) -> dict[str, Any]:
    """Return a card's record of a command that wrote it from another card.

    Parameters
    ----------
    before : the other card's JSON
    created : its time
    """
    return {
        "command": command,
        "before": {"created": created, "card_sha256": sha256(before).hexdigest()},
        "versions": library_versions(),
    }


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that compute the figures."""
    return {"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__}


def utc_now() -> str:
    """Return the time in UTC, to the second, as a card states it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
