"""cnn on a GPU: two clients on its host, with slices in shared memory, against the bare graph.

Needs TensorFlow with CUDA (requirements/cnn-gpu.txt) in the environment. No run on a GPU is committed yet.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from typing import Final

from tests.bench.clients import Call, Outcome, post_for
from tests.bench.figures import Figure, Note, measured, median_ratio
from tests.bench.networks import BareNetworks, pictures
from tests.bench.plan import DEFAULT, DEFAULT_BUNDLE, REFERENCE, Plan, Setup, product, separate_process
from tests.bench.shared_input import shared_inference

_BATCH: Final = 32  # as docker-compose.yml sets it
_CLIENTS: Final = 2
_IN_FLIGHT: Final = 4  # requests of each client, so that batches fill while one is in the network
_LEAST_PER_S: Final = 3000
_OF_BARE: Final = 0.9
_GPU: Final = {"ICH_CNN_DEVICE": "gpu", "ICH_CNN_MAX_BATCH": str(_BATCH), "ICH_CNN_MAX_DELAY_S": "0.002"}


def measure(plan: Plan) -> Iterator[Figure | Note]:
    """Measure float32, then 16 bits, where nvidia-smi lists a GPU."""
    if not _gpu_name():
        yield Note("No GPU was measured: nvidia-smi lists none. `make bench ONLY=gpu` measures a host with one.")
        return
    yield Note(f"GPU: {_gpu_name()}.")
    for mixed in (False, True):
        setup = Setup(DEFAULT, DEFAULT_BUNDLE, REFERENCE, mixed_precision=mixed)
        kind = "16 bits" if mixed else "float32"
        yield from figures(plan, setup, f"{kind}, {_CLIENTS} clients", _GPU)


def _gpu_name() -> str:
    if not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def figures(plan: Plan, setup: Setup, name: str, settings: Mapping[str, str]) -> Iterator[Figure]:
    """Rates of the stage and of the bare graph, in turns."""
    with ExitStack() as stack:
        service = stack.enter_context(product({**setup.settings, **settings}))
        bare = stack.enter_context(BareNetworks(setup))
        clients = [stack.enter_context(separate_process()) for _ in range(_CLIENTS)]
        call = stack.enter_context(shared_inference(service.ports["cnn"], service.shared_memory_dir, pictures(_BATCH)))
        seconds = plan.choose(10.0, 1.0)
        pairs = [(_rate(clients, call, seconds), _bare_rate(bare, seconds)) for _ in range(plan.choose(6, 1) + 1)][1:]
    ours = [rate for rate, _ in pairs]
    yield measured(f"{name}: throughput", "slices/s", ours, bound=_LEAST_PER_S, better="more")
    ratio = median_ratio(pairs)
    yield measured(
        f"{name}: throughput, of the bare graph", "slices/s", ours, ratio=ratio, bound=_OF_BARE, better="more"
    )


def _rate(clients: Sequence[ProcessPoolExecutor], call: Call, seconds: float) -> float:
    pending: list[Future[list[Outcome]]] = [each.submit(post_for, call, _IN_FLIGHT, seconds) for each in clients]
    answers = [answer for each in pending for answer in each.result()]
    assert all(answer.ok for answer in answers), "cnn refused a request"
    return len(answers) * _BATCH / (max(each.end_s for each in answers) - min(each.begin_s for each in answers))


def _bare_rate(bare: BareNetworks, seconds: float) -> float:
    calls = max(round(seconds / 2 / bare.cnn(_BATCH).wall_s), 1)
    return calls * _BATCH / sum(bare.cnn(_BATCH).wall_s for _ in range(calls))
