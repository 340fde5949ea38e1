"""Targets of damaged files: the preprocess application over ASGI, and the gateway's zip unpacker."""

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
from services.gateway.uploads.archives import Limits
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from services.gateway.uploads.unpacking import unpack_all
from services.preprocess.app import create_app
from services.preprocess.settings import Settings
from tests.preprocess.dicom_files import ct
from tests.preprocess.infer_requests import files_tensor, frames_tensor, message, post

TIMEOUT_S: Final = 30.0  # above the decoders' 20 s
READ: Final = "read"
_LIMITS: Final = Limits(max_bytes=64 * 1024**2, max_files=20, max_ratio=100)
_HEAD_BYTES: Final = 700


class Failed(Exception):
    """The service violated a requirement."""


class Targets:
    """One service for the whole run; the result of an input is `read` or the code of a refusal."""

    def __init__(self) -> None:
        self._app: FastAPI = create_app(DEFAULT_RECIPE, Settings(decoders=2))
        self._first_answer: bytes | None = None

    async def send(self, kind: str, data: bytes) -> str:
        """The result of one damaged input, or Failed."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if kind == "zip":
                    return await asyncio.to_thread(_unpack, data)
                return await (self._send_request(data) if kind == "wire" else self._send_file(data))
        except TimeoutError:
            raise Failed(f"no response within {TIMEOUT_S:g} s") from None

    async def still_answers(self) -> None:
        """Raise Failed unless a valid file is read as at the start."""
        answer = await post(self._app, "slices", files_tensor([ct()]), frames_tensor((0, 0)))
        self._first_answer = self._first_answer or answer.content
        if answer.status_code != 200 or answer.content != self._first_answer:
            raise Failed("a valid file is not read as at the start")

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
        return "constant_image" if found.constant else await self._header_result(data)

    async def _header_result(self, data: bytes) -> str:
        """The result by the headers of a file whose first frame was decoded."""
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
            raise Failed(f"more than {_LIMITS.max_bytes} bytes were unpacked")
    return READ
