"""cnn over HTTP, compared with the bare graph in another process at the same batch size."""

import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from services.common.numpy_tensors import array_tensor
from services.common.tensors import Message
from tests.bench.clients import Call, inference, post, took_s
from tests.bench.figures import Figure, measured, median_ratio
from tests.bench.networks import CHUNK, BareNetworks, pictures
from tests.bench.plan import Plan, Setup, product, separate_process, setups

_CLIENTS: Final = 4
_ROUND_S: Final = 5


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure both bundles with every engine."""
    for setup in setups():
        with product(setup.settings) as service, BareNetworks(setup) as bare, separate_process() as clients:
            calls = {count: _call(service.ports["cnn"], count) for count in (1, CHUNK)}
            for count, call in calls.items():
                yield _one_client(plan, setup, bare, call, count)
            yield _saturated(plan, setup, bare, calls[CHUNK], clients)


def _call(port: int, count: int) -> Call:
    return inference(port, "cnn", Message((array_tensor("slices", pictures(count)),)))


def _one_client(plan: Plan, setup: Setup, bare: BareNetworks, call: Call, count: int) -> Figure:
    took_s(call)
    repeats = plan.repeats(2 * bare.cnn(count).wall_s, budget_s=15)
    both = [(took_s(call), bare.cnn(count).wall_s) for _ in range(repeats)]
    return measured(
        f"{setup.name}: one client, {_of(count)}, against the bare call",
        "ms",
        [ours * 1e3 for ours, _ in both],
        ratio=median_ratio(both),
        bound=setup.bound(1.10),
    )


def _saturated(plan: Plan, setup: Setup, bare: BareNetworks, call: Call, process: ProcessPoolExecutor) -> Figure:
    """Four concurrent clients and the bare graph, in turns."""
    each = plan.choose(min(max(math.ceil(_ROUND_S / _CLIENTS / bare.cnn(CHUNK).wall_s), 2), 50), 1)
    both = []
    for _ in range(plan.choose(3, 1)):
        answers = process.submit(post, call, _CLIENTS, each=each).result()
        assert all(answer.ok for answer in answers), "cnn refused a request"
        wall_s = max(answer.end_s for answer in answers) - min(answer.begin_s for answer in answers)
        calls = max(_CLIENTS * each // 2, 1)
        bare_s = sum(bare.cnn(CHUNK).wall_s for _ in range(calls))
        both.append((len(answers) * CHUNK / wall_s, calls * CHUNK / bare_s))
    return measured(
        f"{setup.name}: {_CLIENTS} clients of {_of(CHUNK)} each, against the bare graph",
        "slices/s",
        [ours for ours, _ in both],
        ratio=median_ratio(both),
        bound=setup.bound(0.95),
        better="more",
    )


def _of(count: int) -> str:
    return "1 slice" if count == 1 else f"{count} slices"
