"""A copy of the source project's app: one process, one file a request, `predict` of both networks for each slice.

It uses the networks of the bundle in SOURCE_BUNDLE, so that only the architecture differs.
"""

import os
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.common.labels import LABELS
from tests.bench import source_preprocessing

BUNDLE: Final = "SOURCE_BUNDLE"
SCRATCH: Final = "SOURCE_SCRATCH"
_PNG: Final = b"\x89PNG"


class Network(keras.Model):  # type: ignore[misc] # Keras has no types
    """A SavedModel behind `predict`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._loaded = tf.saved_model.load(str(folder))
        self._signature = self._loaded.signatures["serving_default"]

    def call(self, inputs: dict[str, Any]) -> Any:
        return self._signature(**inputs)


def create() -> Starlette:
    """The application for uvicorn, already warmed up."""
    bundle, image = Path(os.environ[BUNDLE]), Path(os.environ[SCRATCH]) / "img.png"
    cnn, rnn = Network(bundle / "cnn" / "1"), Network(bundle / "rnn" / "1")

    def scores(pixels: Any) -> list[float]:
        features = cnn.predict({"slices": pixels[np.newaxis]}, verbose=0)["features"]
        position_mm = np.zeros(1, np.float32)
        answer = rnn.predict({"features": features, "position_mm": position_mm}, verbose=0)
        return [float(score) for score in answer["slice_probabilities"][0]]

    async def predict(request: Request) -> JSONResponse:
        async with request.form() as form:
            (file,) = form.values()
            assert isinstance(file, UploadFile)
            data = await file.read()
        pixels = np.asarray(Image.open(BytesIO(data))) if data.startswith(_PNG) else source_preprocessing.picture(data)
        Image.fromarray(pixels).save(image)
        found = dict(zip(LABELS, scores(pixels), strict=True))
        booleans = {label: score > 0.5 for label, score in found.items()}
        lines = [f"{label}: {'present' if yes else 'absent'}" for label, yes in booleans.items()]
        return JSONResponse({"raw": found, "predictions": booleans, "results": lines, "picture": f"/{image.name}"})

    scores(np.zeros((512, 512, 3), np.uint8))
    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])
