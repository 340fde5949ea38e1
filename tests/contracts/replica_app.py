"""The cnn application of one replica for uvicorn: a fake network that waits while a file exists."""

import os
import time
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from services.cnn.app import create_app
from services.cnn.settings import Settings
from services.common.card import open_bundle
from tests.contracts.conftest import MeanExtractor


class WaitingExtractor(MeanExtractor):
    """Answers when there is no file of that name."""

    def __init__(self, hold: Path) -> None:
        super().__init__()
        self._hold = hold

    def extract(self, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        while self._hold.exists():
            time.sleep(0.01)
        return super().extract(slices)


def create() -> FastAPI:
    """The application of the bundle FAKE_BUNDLE, held by the file FAKE_HOLD."""
    extractor = WaitingExtractor(Path(os.environ["FAKE_HOLD"]))
    return create_app(extractor, open_bundle(Path(os.environ["FAKE_BUNDLE"])), Settings())
