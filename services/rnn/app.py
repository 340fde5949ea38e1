"""The rnn service: a scorer of series behind the Open Inference Protocol."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from services.common.card import Bundle
from services.common.engine_choice import EngineOptions, load_network
from services.common.numpy_tensors import array_tensor, read_array
from services.common.observability import configure_logging
from services.common.problems import BadRequest, Problem
from services.common.runners import ThreadRunner
from services.common.served_bundle import served_bundle
from services.common.stage import TensorSpec
from services.common.stage_app import stage_app
from services.common.tensors import Message
from services.common.tracing import configure_tracing
from services.rnn.model import GraphScorer
from services.rnn.settings import Settings

log = logging.getLogger(__name__)


class BundleMismatch(Problem):
    status = 409
    code = "bundle_mismatch"
    title = "The features come from another bundle's CNN"


class Scorer(Protocol):
    """Computes the network: (n, d) and (n,) float32 to (n, 6) and (6,) float32."""

    def score(
        self, features: NDArray[np.float32], position_mm: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


class RnnModel:
    """The model `rnn`. Its metadata holds the bundle's card."""

    name = "rnn"
    platform = "tensorflow_savedmodel"
    outputs: Sequence[TensorSpec] = (
        TensorSpec("slice_probabilities", "FP32", (-1, 6)),
        TensorSpec("series_probabilities", "FP32", (6,)),
    )

    def __init__(self, scorer: Scorer, bundle: Bundle, engine: str | None = None) -> None:
        self._scorer = scorer
        self._engine = {"engine": engine} if engine else {}
        self._bundle = bundle
        self._width = bundle.card.feature_size
        self.inputs: Sequence[TensorSpec] = (
            TensorSpec("features", "FP32", (-1, self._width)),
            TensorSpec("position_mm", "FP32", (-1,)),
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The card, its SHA-256, the addenda and the engine."""
        card, addenda = (part.model_dump(mode="json") for part in (self._bundle.card, self._bundle.addenda))
        return {"card_sha256": self._bundle.card_sha256, "card": card, "addenda": addenda, **self._engine}

    def example(self) -> Message:
        """A series of one slice."""
        features, position_mm = np.zeros((1, self._width), np.float32), np.zeros(1, np.float32)
        return Message((array_tensor("features", features), array_tensor("position_mm", position_mm)))

    def infer(self, message: Message) -> Message:
        """Probabilities of slices and series.

        Raises
        ------
        BundleMismatch
            the request states another bundle
        BadRequest
            the series has no slice
        """
        sha256 = self._bundle.card_sha256
        if message.parameters.get("card_sha256", sha256) != sha256:
            raise BundleMismatch(f"the RNN belongs to the bundle {self._bundle.card.name!r}; send features of its CNN")
        features = read_array(message, "features", "FP32", (None, self._width))
        position_mm = read_array(message, "position_mm", "FP32", (len(features),))
        if not len(features):
            raise BadRequest("the series has no slices; it must have at least one")
        slices, series = self._scorer.score(features, position_mm)
        tensors = array_tensor("slice_probabilities", slices), array_tensor("series_probabilities", series)
        return Message(tensors, {"card_sha256": sha256, **self._engine})

    def count_slices(self, message: Message) -> int:
        """The number of slices of the series."""
        return message.tensors[0].shape[0]


def create_app(scorer: Scorer, bundle: Bundle, settings: Settings, engine: str | None = None) -> FastAPI:
    """The application around a scorer; `engine` is the name and version of the engine that runs it."""
    return stage_app("rnn", [RnnModel(scorer, bundle, engine)], settings, ThreadRunner(settings), engine)


def create() -> FastAPI:
    """The application as served: bundle verified, graph loaded and warmed up."""
    configure_logging("rnn")
    configure_tracing("rnn")
    settings = Settings.read()
    with served_bundle(settings.bundle, settings.bundle_keys, "rnn") as bundle:
        for refused in bundle.addenda.refused:
            log.error("the addendum %s is refused: %s", refused.name, refused.why)
        options = EngineOptions(engine=settings.engine, cache=settings.engine_cache, device="cpu")
        network = load_network(bundle, "rnn", options)
    scorer = GraphScorer(network.call)
    for length in (1, 32):
        features = np.zeros((length, bundle.card.feature_size), np.float32)
        scorer.score(features, np.arange(length, dtype=np.float32))
    return create_app(scorer, bundle, settings, network.engine)
