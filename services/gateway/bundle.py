"""Which bundle is served, as the stages themselves say: so it can never be another than the one that answers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from services.common.card import Card, read_card
from services.gateway.stage_client import BundleMismatch, RecipeMismatch, StageFailed, Stages


@dataclass(frozen=True, slots=True)
class ServedBundle:
    """The card of the bundle that rnn serves, and the SHA-256 of its file."""

    card: Card
    card_sha256: str


class Bundles:
    """Asks the stages for the card, and remembers it until another bundle answers."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._served: ServedBundle | None = None

    async def served(self, card_sha256: str | None = None) -> ServedBundle:
        """The bundle that is served; the one of that hash, where it is given.

        Raises
        ------
        BundleMismatch
            scores came from a bundle that is no longer there.
        StageFault
            rnn can't be asked.
        """
        if self._served is None or card_sha256 not in (None, self._served.card_sha256):
            self._served = _understand(await self._stages.rnn.metadata("rnn"))
        if card_sha256 not in (None, self._served.card_sha256):
            raise BundleMismatch("the bundle was changed in the middle of the request; send it again")
        return self._served

    async def check(self) -> None:
        """Ask every stage whether it is ready, and whether they agree on recipe and bundle.

        Raises
        ------
        StageFault
            one is not ready, or they do not belong together.
        """
        stages = self._stages
        await asyncio.gather(stages.preprocess.ready(), stages.cnn.ready(), stages.rnn.ready())
        preprocess, cnn, rnn = await asyncio.gather(
            stages.preprocess.metadata("slices"), stages.cnn.metadata("cnn"), stages.rnn.metadata("rnn")
        )
        if preprocess.get("recipe") != cnn.get("recipe"):
            raise RecipeMismatch("preprocess and cnn do not use the same recipe")
        if cnn.get("card_sha256") != rnn.get("card_sha256"):
            raise BundleMismatch("cnn and rnn do not serve the same bundle")


def _understand(parameters: Mapping[str, Any]) -> ServedBundle:
    try:
        return ServedBundle(read_card(parameters["card"]), str(parameters["card_sha256"]))
    except (KeyError, ValidationError) as error:
        raise StageFailed("rnn does not say which bundle it serves", stage="rnn") from error
