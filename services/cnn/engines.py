"""Loads the CNN on the engine of the settings."""

from services.cnn.model import MOST_SLICES, GraphExtractor, OpenVinoExtractor
from services.cnn.settings import Settings
from services.common.card import Bundle
from services.common.engine_choice import EngineOptions, LoadedNetwork, load_network
from services.common.engines import EngineUnavailable
from services.common.openvino_model import cpu_precisions

__all__ = ["EngineUnavailable", "OpenVinoExtractor", "cpu_precisions", "load_cnn", "load_extractor"]


def load_cnn(settings: Settings, bundle: Bundle) -> LoadedNetwork:
    """Load the bundle's CNN on the engine and device of the settings.

    Raises
    ------
    EngineUnavailable
        the engine is not installed, or does not support the device, the precision or the graph
    """
    options = EngineOptions(
        engine=settings.engine,
        cache=settings.engine_cache,
        device=settings.device,
        mixed_precision=settings.mixed_precision,
        most_rows=MOST_SLICES,
        sizes=(1, settings.max_batch),
    )
    return load_network(bundle, "cnn", options)


def load_extractor(settings: Settings, bundle: Bundle) -> GraphExtractor:
    """The extractor of `load_cnn`."""
    return GraphExtractor(load_cnn(settings, bundle).call)
