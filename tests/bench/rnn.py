"""rnn over HTTP, compared with the bare network in another process."""

from collections.abc import Iterator

import numpy as np

from services.common.card import open_bundle
from services.common.numpy_tensors import array_tensor
from services.common.tensors import Message
from tests.bench.clients import inference, took_s
from tests.bench.figures import Figure, measured, median_ratio
from tests.bench.networks import BareNetworks
from tests.bench.plan import Plan, Setup, product, setups


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure both bundles, whose features differ in length, and every engine."""
    for setup in (each for each in setups() if not each.mixed_precision):
        size = open_bundle(setup.bundle).card.feature_size
        with product(setup.settings) as service, BareNetworks(setup) as bare:
            for slices in (34, 300):
                yield _one_client(plan, setup, service.ports["rnn"], bare, _message(slices, size))


def _message(slices: int, feature_size: int) -> Message:
    features = array_tensor("features", np.zeros((slices, feature_size), np.float32))
    return Message((features, array_tensor("position_mm", np.arange(slices, dtype=np.float32) * 5)))


def _one_client(plan: Plan, setup: Setup, port: int, bare: BareNetworks, message: Message) -> Figure:
    call, slices = inference(port, "rnn", message), message.tensors[0].shape[0]
    both = [(took_s(call) * 1e3, bare.rnn(slices).wall_s * 1e3) for _ in range(plan.choose(60, 4))]
    warm = both[len(both) // 4 :]
    name = f"{setup.name}: one client, {slices} slices of {message.tensors[0].shape[1]} features"
    return measured(f"{name}, against the bare call", "ms", [ours for ours, _ in warm], ratio=median_ratio(warm))
