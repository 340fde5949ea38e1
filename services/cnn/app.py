"""The cnn service: the Open Inference Protocol around a feature extractor."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from services.cnn.settings import Settings
from services.common.arrays import array_tensor, read_array
from services.common.card import Bundle, Card, open_bundle
from services.common.labels import SUBTYPES
from services.common.observability import configure_logging
from services.common.problems import Problem
from services.common.stage import TensorSpec, stage_app
from services.common.tensors import Message


class RecipeMismatch(Problem):
    status = 409
    code = "recipe_mismatch"
    title = "The pixels were made by another recipe than the network learnt from"


class FeatureExtractor(Protocol):
    """What computes: (n, 512, 512, 3) uint8 to `features`, (n, d) float32, and what else the network gives."""

    def extract(self, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]: ...


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
        """Features of the slices, and the map of blood where it is asked for by name.

        Raises
        ------
        RecipeMismatch
            the caller says that the slices were made by another recipe
        """
        if message.parameters.get("recipe", self._recipe) != self._recipe:
            raise RecipeMismatch(f"this network learnt from recipe {self._recipe}")
        slices = read_array(message, "slices", "UINT8", (None, 512, 512, 3))
        given = self._extractor.extract(slices) if len(slices) else {}
        asked = [spec for spec in self.outputs if spec.name == "features" or spec.name in message.wanted]
        tensors = [array_tensor(spec.name, given.get(spec.name, _nothing(spec))) for spec in asked]
        return Message(tuple(tensors), self.parameters)

    def slices(self, message: Message) -> int:
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
    return stage_app("cnn", [CnnModel(extractor, bundle)], settings)


def create() -> FastAPI:
    """The application as it is served: bundle checked, graph loaded and warm."""
    from services.cnn.model import SavedModelExtractor  # noqa: PLC0415 - TensorFlow is loaded only to serve
    from services.common.saved_model import choose_device  # noqa: PLC0415

    configure_logging("cnn")
    settings = Settings.read()
    bundle = open_bundle(settings.bundle)
    choose_device(settings.device)
    extractor = SavedModelExtractor(bundle.saved_model("cnn"))
    for size in (1, 16):
        extractor.extract(np.zeros((size, 512, 512, 3), np.uint8))
    return create_app(extractor, bundle, settings)
