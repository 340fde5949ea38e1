"""The cnn service: a feature extractor behind the Open Inference Protocol."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.cnn.batching import DynamicBatcher
from services.cnn.engines import load_cnn
from services.cnn.extractor import FeatureExtractor, Outputs, Slices, batch_sizes
from services.cnn.model import GraphExtractor
from services.cnn.settings import Settings
from services.common.card import Bundle, Card
from services.common.labels import SUBTYPES
from services.common.numpy_tensors import array_tensor, read_array
from services.common.observability import configure_logging
from services.common.problems import Problem
from services.common.served_bundle import served_bundle
from services.common.stage import TensorSpec
from services.common.stage_app import stage_app
from services.common.tensors import Message
from services.common.tracing import configure_tracing


class RecipeMismatch(Problem):
    status = 409
    code = "recipe_mismatch"
    title = "The pixels were made by another recipe than the network learnt from"


class CnnModel:
    """The model `cnn`."""

    name = "cnn"
    platform = "tensorflow_savedmodel"
    inputs: Sequence[TensorSpec] = (TensorSpec("slices", "UINT8", (-1, 512, 512, 3)),)

    def __init__(self, extractor: FeatureExtractor, bundle: Bundle, engine: str | None = None) -> None:
        self._extractor = extractor
        self._engine = {"engine": engine} if engine else {}
        self._recipe = bundle.card.recipe.fingerprint
        self._card_sha256 = bundle.card_sha256
        self.outputs: Sequence[TensorSpec] = _outputs(bundle.card)

    @property
    def parameters(self) -> dict[str, Any]:
        """The fingerprint of the recipe, the SHA-256 of the card, and the engine."""
        return {"recipe": self._recipe, "card_sha256": self._card_sha256, **self._engine}

    def example(self) -> Message:
        """One black slice."""
        return Message((array_tensor("slices", np.zeros((1, 512, 512, 3), np.uint8)),), {"recipe": self._recipe})

    def infer(self, message: Message) -> Message:
        """Features of the slices, and the blood map where the request names it; raises as `read` does."""
        slices = self.read(message)
        return self.answer(message, self._extractor.extract(slices) if len(slices) else {})

    def read(self, message: Message) -> Slices:
        """The slices of a request.

        Raises
        ------
        RecipeMismatch
            the request states another recipe
        """
        sent = message.parameters.get("recipe", self._recipe)
        if sent != self._recipe:
            raise RecipeMismatch(f"the network learnt from recipe {self._recipe}; send slices made by it")
        return read_array(message, "slices", "UINT8", (None, 512, 512, 3))

    def answer(self, message: Message, outputs: Outputs) -> Message:
        """The outputs that the request asks for; empty tensors for no slices."""
        specs = [spec for spec in self.outputs if spec.name == "features" or spec.name in message.requested_outputs]
        tensors = [array_tensor(spec.name, outputs.get(spec.name, _empty(spec))) for spec in specs]
        return Message(tuple(tensors), self.parameters)

    def count_slices(self, message: Message) -> int:
        """The number of slices in the request."""
        return message.tensors[0].shape[0]


def _outputs(card: Card) -> tuple[TensorSpec, ...]:
    features = TensorSpec("features", "FP32", (-1, card.feature_size))
    if card.blood_grid is None:
        return (features,)
    return features, TensorSpec("blood", "FP32", (-1, *card.blood_grid, len(SUBTYPES)))


def _empty(spec: TensorSpec) -> NDArray[np.float32]:
    return np.zeros((0, *spec.shape[1:]), np.float32)


def create_app(extractor: FeatureExtractor, bundle: Bundle, settings: Settings, engine: str | None = None) -> FastAPI:
    """The application around an extractor; `engine` is the name and version of the engine that runs it."""
    registry = CollectorRegistry()
    batcher = DynamicBatcher(extractor, settings.batch_limits(), registry)
    app = stage_app("cnn", [CnnModel(extractor, bundle, engine)], settings, batcher, engine)
    app.state.metrics.registry.register(registry)
    return app


def create() -> FastAPI:
    """The application as served: bundle verified, graph loaded and warmed up for every batch size."""
    configure_logging("cnn")
    configure_tracing("cnn")
    settings = Settings.read()
    with served_bundle(settings.bundle, settings.bundle_keys, "cnn") as bundle:
        network = load_cnn(settings, bundle)
    extractor = GraphExtractor(network.call)
    for size in batch_sizes(settings.max_batch):
        extractor.extract(np.zeros((size, 512, 512, 3), np.uint8))
    return create_app(extractor, bundle, settings, network.engine)
