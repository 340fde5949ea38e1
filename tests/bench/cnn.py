"""cnn over HTTP against the bare graph in a process of its own, at the same batch."""

import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from services.common.numpy_tensors import array_tensor
from services.common.tensors import Message
from tests.bench.clients import Call, inference, post, took_s
from tests.bench.figures import Figure, measured, of_pairs
from tests.bench.networks import CHUNK, Bare, pictures
from tests.bench.plan import Plan, Setup, apart, setups

_CLIENTS: Final = 4
_ROUND_S: Final = 5


def measure(plan: Plan) -> Iterator[Figure]:
    """Both bundles, every engine."""
    for setup in setups(plan):
        with setup.running() as service, Bare(setup) as bare, apart() as clients:
            calls = {count: _call(service.ports["cnn"], count) for count in (1, CHUNK)}
            for count, call in calls.items():
                yield _one_client(plan, setup, bare, call, count)
            yield _saturated(plan, setup, bare, calls[CHUNK], clients)


def _call(port: int, count: int) -> Call:
    return inference(port, "cnn", Message((array_tensor("slices", pictures(count)),)))


def _one_client(plan: Plan, setup: Setup, bare: Bare, call: Call, count: int) -> Figure:
    took_s(call)
    repeats = plan.repeats(2 * bare.cnn(count).wall_s, budget_s=15)
    both = [(took_s(call), bare.cnn(count).wall_s) for _ in range(repeats)]
    return measured(
        f"{setup.name}: one client, {_of(count)}, against the bare call",
        "ms",
        [ours * 1e3 for ours, _ in both],
        ratio=of_pairs(both),
        bound=setup.bound(1.10),
    )


def _saturated(plan: Plan, setup: Setup, bare: Bare, call: Call, process: ProcessPoolExecutor) -> Figure:
    """Four clients at once, and the bare graph for as long, in turns."""
    each = plan.some(min(max(math.ceil(_ROUND_S / _CLIENTS / bare.cnn(CHUNK).wall_s), 2), 50), 1)
    both = []
    for _ in range(plan.some(3, 1)):
        answers = process.submit(post, call, _CLIENTS, each=each).result()
        assert all(answer.good for answer in answers), "cnn refused what it must take"
        wall_s = max(answer.end_s for answer in answers) - min(answer.begin_s for answer in answers)
        calls = max(_CLIENTS * each // 2, 1)
        bare_s = sum(bare.cnn(CHUNK).wall_s for _ in range(calls))
        both.append((len(answers) * CHUNK / wall_s, calls * CHUNK / bare_s))
    return measured(
        f"{setup.name}: {_CLIENTS} clients of {_of(CHUNK)} each, against the bare graph",
        "slices/s",
        [ours for ours, _ in both],
        ratio=of_pairs(both),
        bound=setup.bound(0.95),
        better="more",
    )


def _of(count: int) -> str:
    return "1 slice" if count == 1 else f"{count} slices"
