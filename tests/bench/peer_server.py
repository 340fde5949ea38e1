"""Triton, by PyTriton, around a bundle's CNN on OpenVINO, a peer of the cnn stage: `PYTHON -P THIS FOLDER PORT`.

Runs in the environment of `make bench-peers`, which has nothing of this project. The graph, the engine, its options and
the slices of a stream are those of the cnn stage (services/common/openvino_model.py).

KServe 0.21 is no peer over HTTP: it turns binary tensors into lists of Python numbers. A request of 16 slices takes
2.9 s so, and 0.3 s in the network.
"""

import os
import sys
import sysconfig
from math import ceil
from typing import Any, Final

import numpy as np
import openvino
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

_STREAMS: Final = len(os.sched_getaffinity(0))
_MOST_SLICES: Final = 4  # of a stream at a time
_MAX_BATCH: Final = 16
_OPTIONS: Final = {
    "INFERENCE_PRECISION_HINT": "f32",
    "PERFORMANCE_HINT": "THROUGHPUT",
    "NUM_STREAMS": _STREAMS,
    "ENABLE_CPU_PINNING": False,
}


class Cnn:
    """The bundle's CNN, whose slices are shared out among streams."""

    def __init__(self, folder: str) -> None:
        compiled: Any = openvino.Core().compile_model(folder, "CPU", _OPTIONS)
        self._features = next(output for output in compiled.outputs if "features" in output.names)
        self._queue = openvino.AsyncInferQueue(compiled, _STREAMS)
        self._queue.set_callback(self._keep)
        self.size = self._features.partial_shape[1].get_length()

    def extract(self, slices: Any) -> Any:
        """(n, features) float32 of (n, 512, 512, 3) uint8."""
        found: dict[int, Any] = {}
        size = min(ceil(len(slices) / _STREAMS), _MOST_SLICES)
        for start in range(0, len(slices), size):
            self._queue.start_async(slices[start : start + size], (found, start), share_inputs=True)
        self._queue.wait_all()
        return np.concatenate([found[start] for start in sorted(found)])

    def _keep(self, request: Any, place: tuple[dict[int, Any], int]) -> None:
        found, start = place
        found[start] = np.array(request.get_tensor(self._features).data)


def main(folder: str, http_port: str) -> None:
    """Serve until SIGTERM."""
    # Triton's workers load the library of this Python, whose standard library they import.
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    cnn, port = Cnn(folder), int(http_port)

    @batch  # type: ignore[untyped-decorator] # PyTriton is in an environment of its own
    def infer(slices: Any) -> dict[str, Any]:
        return {"features": cnn.extract(slices)}

    with Triton(config=_local(port)) as triton:
        triton.bind(
            model_name="cnn",
            infer_func=infer,
            inputs=[Tensor(name="slices", dtype=np.uint8, shape=(512, 512, 3))],
            outputs=[Tensor(name="features", dtype=np.float32, shape=(cnn.size,))],
            config=ModelConfig(max_batch_size=_MAX_BATCH, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
            strict=True,
        )
        triton.serve()


def _local(port: int) -> TritonConfig:
    """Three ports of this host, from `port` on: HTTP, gRPC and metrics."""
    places = {"http": port, "grpc": port + 1, "metrics": port + 2}
    return TritonConfig(
        **{f"{name}_address": "127.0.0.1" for name in places}, **{f"{n}_port": p for n, p in places.items()}
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
