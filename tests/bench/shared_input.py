"""Requests whose slices lie in shared memory, by Triton's system shared memory extension."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from numpy.typing import NDArray

from services.common.shared_memory import create_region, shared_folder
from tests.bench.clients import Call


@contextmanager
def shared_inference(port: int, folder: Path, slices: NDArray[Any]) -> Iterator[Call]:
    """A request to the model `cnn` at `port`, whose service shares `folder`; the slices are written once."""
    key, name = secrets.token_hex(16), f"bench-{secrets.token_hex(8)}"
    route = f"http://127.0.0.1:{port}/v2/systemsharedmemory/region/{name}"
    with shared_folder(folder) as handle:
        file = create_region(handle, key, slices.nbytes)
        try:
            os.pwrite(file, slices.data.cast("B"), 0)
            registration = {"key": key, "offset": 0, "byte_size": slices.nbytes}
            httpx.post(f"{route}/register", json=registration).raise_for_status()
            yield _call(port, name, slices)
            httpx.post(f"{route}/unregister").raise_for_status()
        finally:
            os.unlink(key, dir_fd=handle)
            os.close(file)


def _call(port: int, region: str, slices: NDArray[Any]) -> Call:
    place = {"shared_memory_region": region, "shared_memory_byte_size": slices.nbytes, "shared_memory_offset": 0}
    tensor = {"name": "slices", "datatype": "UINT8", "shape": list(slices.shape), "parameters": place}
    body = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return Call(port, "/v2/models/cnn/infer", {"content-type": "application/json"}, body)
