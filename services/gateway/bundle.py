"""The served bundle, as the stages state it in their metadata."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from services.common.addenda import Addenda
from services.common.card import Card, read_card
from services.common.problems import NotReady
from services.gateway.stages.stage_client import Stages
from services.gateway.stages.stage_problems import BundleMismatch, RecipeMismatch, StageFault
from services.gateway.stages.stage_response import malformed

_ENGINES_TIMEOUT_S: Final = 2.0  # for information only: the card does not wait for a slow stage


@dataclass(frozen=True, slots=True)
class ServedBundle:
    """The card of the bundle that rnn serves, the SHA-256 of its file, and its addenda; an older rnn states none."""

    card: Card
    card_sha256: str
    addenda: Addenda = field(default_factory=Addenda)


class Bundles:
    """Requests the card from the stages, and caches it until a response comes from another bundle."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._served: ServedBundle | None = None

    async def served(self, card_sha256: str | None = None) -> ServedBundle:
        """The served bundle; with `card_sha256`, the bundle of that card.

        Raises
        ------
        BundleMismatch
            the bundle of that card is no longer served
        StageFault
            rnn gave no usable response
        """
        if self._served is None or card_sha256 not in (None, self._served.card_sha256):
            self._served = _served_bundle(await self._stages.rnn.metadata("rnn"))
        if card_sha256 not in (None, self._served.card_sha256):
            raise BundleMismatch("the bundle changed during the request; send it again")
        return self._served

    async def renewed(self) -> ServedBundle:
        """The served bundle, requested again: its outputs are known before a request names one; raises as `served`."""
        self._served = None
        return await self.served()

    async def engines(self) -> dict[str, str]:
        """Name and version of the engine of each network, as the replica that answers states it; it may state none."""
        asked = (self._stages.cnn.metadata("cnn"), self._stages.rnn.metadata("rnn"))
        limited = (asyncio.wait_for(each, _ENGINES_TIMEOUT_S) for each in asked)
        stated = zip(("cnn", "rnn"), await asyncio.gather(*limited, return_exceptions=True), strict=True)
        return {name: str(each["engine"]) for name, each in stated if isinstance(each, Mapping) and "engine" in each}

    async def check_ready(self) -> None:
        """NotReady where `check` raises StageFault: the gateway's readiness."""
        try:
            await self.check()
        except StageFault as fault:
            raise NotReady(fault.detail, cause=fault.code, **fault.extra) from fault

    async def check(self) -> None:
        """Check that every stage is ready, and that they agree on recipe and bundle.

        Raises
        ------
        StageFault
            a stage is not ready, or the stages disagree
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


def _served_bundle(parameters: Mapping[str, Any]) -> ServedBundle:
    try:
        addenda = Addenda.model_validate(parameters.get("addenda", {}))
        return ServedBundle(read_card(parameters["card"]), str(parameters["card_sha256"]), addenda)
    except (KeyError, ValidationError) as error:
        raise malformed("rnn", "the metadata have no valid card") from error
