"""The cnn service: the Open Inference Protocol around a feature extractor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.cnn.batching import DynamicBatcher, FeatureExtractor, Outputs, Slices, batch_sizes
from services.cnn.settings import Settings
from services.common.card import Bundle, Card, open_bundle
from services.common.labels import SUBTYPES
from services.common.numpy_tensors import array_tensor, read_array
from services.common.observability import configure_logging
from services.common.problems import Problem
from services.common.stage import TensorSpec, stage_app
from services.common.tensors import Message


class RecipeMismatch(Problem):
    status = 409
    code = "recipe_mismatch"
    title = "The pixels were made by another recipe than the network learnt from"


class CnnModel:
    """The model `cnn` of the protocol."""

    name = "cnn"
    platform = "tensorflow_savedmodel"
    inputs: Sequence[TensorSpec] = (TensorSpec("slices", "UINT8", (-1, 512, 512, 3)),)

    def __init__(self, extractor: FeatureExtractor, bundle: Bundle) -> None:
        self._extractor = extractor
        self._recipe = bundle.card.recipe.fingerprint
        self._card_sha256 = bundle.card_sha256
        self.outputs: Sequence[TensorSpec] = _outputs(bundle.card)

    @property
    def parameters(self) -> dict[str, Any]:
        """Which pixels it takes, and whose features it gives."""
        return {"recipe": self._recipe, "card_sha256": self._card_sha256}

    def example(self) -> Message:
        """One black slice."""
        return Message((array_tensor("slices", np.zeros((1, 512, 512, 3), np.uint8)),), {"recipe": self._recipe})

    def infer(self, message: Message) -> Message:
        """Features of the slices, and the map of blood where it is asked for by name; see `read`."""
        slices = self.read(message)
        return self.answer(message, self._extractor.extract(slices) if len(slices) else {})

    def read(self, message: Message) -> Slices:
        """The slices of a request.

        Raises
        ------
        RecipeMismatch
            the caller says that the slices were made by another recipe
        """
        if message.parameters.get("recipe", self._recipe) != self._recipe:
            raise RecipeMismatch(f"this network learnt from recipe {self._recipe}")
        return read_array(message, "slices", "UINT8", (None, 512, 512, 3))

    def answer(self, message: Message, given: Outputs) -> Message:
        """What the network gave, as far as the request asks for it; of no slices it gave nothing."""
        asked = [spec for spec in self.outputs if spec.name == "features" or spec.name in message.requested_outputs]
        tensors = [array_tensor(spec.name, given.get(spec.name, _nothing(spec))) for spec in asked]
        return Message(tuple(tensors), self.parameters)

    def count_slices(self, message: Message) -> int:
        """The size of the batch."""
        return message.tensors[0].shape[0]


def _outputs(card: Card) -> tuple[TensorSpec, ...]:
    features = TensorSpec("features", "FP32", (-1, card.feature_size))
    if card.blood_grid is None:
        return (features,)
    return features, TensorSpec("blood", "FP32", (-1, *card.blood_grid, len(SUBTYPES)))


def _nothing(spec: TensorSpec) -> NDArray[np.float32]:
    return np.zeros((0, *spec.shape[1:]), np.float32)


def create_app(extractor: FeatureExtractor, bundle: Bundle, settings: Settings) -> FastAPI:
    """The application around an extractor."""
    registry = CollectorRegistry()
    app = stage_app(
        "cnn", [CnnModel(extractor, bundle)], settings, DynamicBatcher(extractor, settings.bounds(), registry)
    )
    app.state.metrics.registry.register(registry)
    return app


def create() -> FastAPI:
    """The application as it is served: bundle checked, graph loaded and warm."""
    from services.cnn.engines import load_extractor  # noqa: PLC0415 - a network's library is loaded only to serve

    configure_logging("cnn")
    settings = Settings.read()
    bundle = open_bundle(settings.bundle)
    extractor = load_extractor(settings, bundle)
    for size in batch_sizes(settings.max_batch):
        extractor.extract(np.zeros((size, 512, 512, 3), np.uint8))
    return create_app(extractor, bundle, settings)
