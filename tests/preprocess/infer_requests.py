"""Inference requests to the preprocess application, in one process."""

from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI

from services.common.numpy_tensors import array_tensor
from services.common.tensors import HEADER_LENGTH, Message, Tensor, bytes_tensor, decode, encode

Files = Sequence[bytes]


async def post(app: FastAPI, model: str, *tensors: Tensor, **parameters: Any) -> httpx.Response:
    """The response of a model."""
    header, _ = encode(Message(tensors, parameters), "inputs")
    body = header + b"".join(tensor.buffer for tensor in tensors)
    headers = {HEADER_LENGTH: str(len(header)), "content-type": "application/octet-stream"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://preprocess") as client:
        return await client.post(f"/v2/models/{model}/infer", content=body, headers=headers)


def files_tensor(files: Files) -> Tensor:
    return bytes_tensor("files", list(files))


def frames_tensor(*frames: tuple[int, int]) -> Tensor:
    return array_tensor("frames", np.array(frames, np.int32).reshape(-1, 2))


def message(answer: httpx.Response) -> Message:
    """The tensors of a response."""
    return decode(bytearray(answer.content), answer.headers.get(HEADER_LENGTH), "outputs")
