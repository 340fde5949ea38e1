"""Where damaged files go: preprocess' application over ASGI, and the gateway's zip unpacker. Nothing is replaced."""

import asyncio
import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from fastapi import FastAPI

from services.common.problems import Problem
from services.common.recipe import DEFAULT_RECIPE
from services.common.schemas import Evidence, HeadersReport
from services.common.tensors import HEADER_LENGTH, bytes_elements
from services.gateway.archives import Limits
from services.gateway.spool import SpoolFolder, UploadedFile
from services.gateway.unpacking import unpack_all
from services.preprocess.app import create_app
from services.preprocess.settings import Settings
from tests.preprocess.dicom_files import ct
from tests.preprocess.infer_requests import files_tensor, frames_tensor, message, post

TIMEOUT_S: Final = 30.0  # a decoder may take 20
READ: Final = "read"
_LIMITS: Final = Limits(max_bytes=64 * 1024**2, max_files=20, max_ratio=100)
_HEAD_BYTES: Final = 700


class Failed(Exception):
    """The service did what it must never do."""


class Targets:
    """One service that lives as long as the fuzzing does; each input's fate is `read` or the code of a refusal."""

    def __init__(self) -> None:
        self._app: FastAPI = create_app(DEFAULT_RECIPE, Settings(decoders=2))
        self._sound: bytes | None = None

    async def send(self, kind: str, data: bytes) -> str:
        """What becomes of one damaged input; Failed where it is none of the answers that are allowed."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if kind == "zip":
                    return await asyncio.to_thread(_unpack, data)
                return await (self._send_request(data) if kind == "wire" else self._send_file(data))
        except TimeoutError:
            raise Failed(f"no answer in {TIMEOUT_S:g} s") from None

    async def still_answers(self) -> None:
        """Whether a sound file is read as it was at first."""
        answer = await post(self._app, "slices", files_tensor([ct()]), frames_tensor((0, 0)))
        self._sound = self._sound or answer.content
        if answer.status_code != 200 or answer.content != self._sound:
            raise Failed("a sound file is not read as before")

    async def _send_file(self, data: bytes) -> str:
        heads = await post(self._app, "series", files_tensor([data[:_HEAD_BYTES]]))
        self._check(heads)
        answer = await post(self._app, "slices", files_tensor([data]), frames_tensor((0, 0)))
        self._check(answer)
        (found,) = (
            Evidence.model_validate_json(bytes(item))
            for item in bytes_elements(message(answer).tensor("evidence", "BYTES"))
        )
        if found.failed:
            return found.failed
        return "constant_image" if found.constant else await self._whole(data)

    async def _whole(self, data: bytes) -> str:
        """What the headers say of a file whose first frame could be decoded."""
        answer = await post(self._app, "series", files_tensor([data]))
        self._check(answer)
        report = HeadersReport.model_validate_json(bytes(bytes_elements(message(answer).tensor("report", "BYTES"))[0]))
        return report.set_aside[0].code if report.set_aside else READ

    async def _send_request(self, data: bytes) -> str:
        headers = {HEADER_LENGTH: str(int.from_bytes(data[:4]))}
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://preprocess") as client:
            answer = await client.post("/v2/models/slices/infer", content=data[4:], headers=headers)
        self._check(answer)
        return READ if answer.status_code == 200 else str(answer.json()["code"])

    @staticmethod
    def _check(answer: httpx.Response) -> None:
        if answer.status_code >= 500:
            raise Failed(f"status {answer.status_code}: {answer.text[:200]}")


def _unpack(data: bytes) -> str:
    with TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        archive = Path(folder, "upload")
        archive.write_bytes(data)
        target = Path(stack.enter_context(TemporaryDirectory()))
        try:
            unpack_all([UploadedFile("study.zip", archive, len(data))], SpoolFolder(target), _LIMITS)
        except Problem as problem:
            return problem.code
        if sum(file.stat().st_size for file in target.iterdir()) > _LIMITS.max_bytes:
            raise Failed("more was unpacked than the limits allow")
    return READ
