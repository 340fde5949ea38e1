"""The preprocess service: the models `series` and `slices` behind the Open Inference Protocol."""

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from services.common.numpy_tensors import array_tensor, output_array, output_tensor, read_array
from services.common.observability import configure_logging
from services.common.problems import BadRequest
from services.common.recipe import DEFAULT_RECIPE, Recipe
from services.common.runners import ThreadRunner
from services.common.schemas import Evidence, HeadersReport
from services.common.stage import StageModel, TensorSpec
from services.common.stage_app import stage_app
from services.common.tensors import Buffer, Message, Tensor, bytes_elements, bytes_tensor
from services.common.tracing import configure_tracing
from services.preprocess.dicom_file import PartialFile
from services.preprocess.header_cache import HeaderCache
from services.preprocess.pipeline import Pipeline, Slices
from services.preprocess.settings import Settings
from services.preprocess.slab_averaging import InvalidSlabs
from services.preprocess.sources import ReadHeader
from services.preprocess.uid_hashing import hash_uids, read_uid_key

_NO_FRAMES = np.zeros((0, 2), np.int32)


class SeriesModel:
    """The model `series`: first bytes of files in, sorted series out. It reads headers only."""

    name = "series"
    platform = "pydicom"
    inputs: Sequence[TensorSpec] = (TensorSpec("files", "BYTES", (-1,)), TensorSpec("sizes", "INT64", (-1,)))
    outputs: Sequence[TensorSpec] = (TensorSpec("report", "BYTES", (1,)),)
    parameters: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def __init__(self, uid_key: bytes | None, read: ReadHeader) -> None:
        self._uid_key = uid_key
        self._read = read

    def example(self) -> Message:
        """A request without files."""
        return Message((bytes_tensor("files", []),))

    def infer(self, message: Message) -> Message:
        """Read headers. `sizes` are the lengths of the whole files, where only their first bytes are sent."""
        heads = bytes_elements(message.tensor("files", "BYTES"))
        sizes = [len(head) for head in heads]
        if message.find("sizes"):
            sizes = read_array(message, "sizes", "INT64", (len(heads),)).tolist()
        return Message((_report_tensor(Pipeline.read_headers(heads, sizes, self._read), self._uid_key),))

    def count_slices(self, message: Message) -> int:  # noqa: ARG002 - the Protocol's signature
        """Zero: no slice is decoded."""
        return 0


class SlicesModel:
    """The model `slices`: files in, slices out, in the order of `frames`.

    A file of several uncompressed frames can be sent in part: its bytes before the pixels, then whole frames from byte
    `pixels_from` of the whole file, which has `sizes` bytes. `pixels_from` is 0 for a whole file.

    `slabs` are the ascending slab numbers of the frames, from 0. The frames of a slab are averaged along z, in
    Hounsfield units; `slices` and `pictures` then have one row per slab. `evidence` always has one item per frame.

    With the parameter `midlines`, the evidence has the head's midline in each slice.

    With the parameter `hu`, the response has the output `hu` and `evidence` only: a 16-bit greyscale PNG of each frame,
    value = HU + 32768, in patient orientation and not resampled; empty where the frame's evidence has `failed`.

    Without `frames`, the slices of the files' one series are returned in anatomical order, with the headers' report;
    none where the files are not one series, or its slices cost more to decode than `max_slices` of 512 x 512.
    """

    name = "slices"
    platform = "pydicom"
    inputs: Sequence[TensorSpec] = (
        TensorSpec("files", "BYTES", (-1,)),
        TensorSpec("sizes", "INT64", (-1,)),
        TensorSpec("pixels_from", "INT64", (-1,)),
        TensorSpec("frames", "INT32", (-1, 2)),
        TensorSpec("slabs", "INT32", (-1,)),
    )

    def __init__(self, pipeline: Pipeline, recipe: Recipe, settings: Settings, uid_key: bytes | None) -> None:
        self._pipeline = pipeline
        self._recipe = recipe
        self._max_slices = settings.max_slices
        self._uid_key = uid_key
        self.outputs: Sequence[TensorSpec] = (
            TensorSpec("slices", "UINT8", (-1, recipe.rows, recipe.columns, 3)),
            TensorSpec("evidence", "BYTES", (-1,)),
            TensorSpec("pictures", "BYTES", (-1,)),
            TensorSpec("hu", "BYTES", (-1,)),
            TensorSpec("report", "BYTES", (1,)),
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The fingerprint of the recipe."""
        return {"recipe": self._recipe.fingerprint}

    def example(self) -> Message:
        """A request without files and frames."""
        return Message((bytes_tensor("files", []), array_tensor("frames", _NO_FRAMES)))

    def infer(self, message: Message) -> Message:
        """Decode, window and measure.

        Raises
        ------
        BadRequest
            a frame or slab does not match the files sent
        """
        files = bytes_elements(message.tensor("files", "BYTES"))
        report = None if message.find("frames") else self._pipeline.report_on(files)
        frames = self._requested_frames(message, len(files)) if report is None else self._frames_of(report)
        if message.parameters.get("hu"):
            return Message(tuple(self._hounsfield(message, files, frames)), self.parameters)
        made = self._make_slices(message, files, frames)
        tensors = [output_tensor(message, "slices", made.slices)]
        tensors.append(_evidence_tensor(made.evidence))
        tensors += [bytes_tensor("pictures", made.pictures)] if made.pictures else []
        tensors += [_report_tensor(_without_texts(report), self._uid_key)] if report else []
        return Message(tuple(tensors), self.parameters)

    def count_slices(self, message: Message) -> int:
        """The number of frames requested; without `frames`, the number of files."""
        return (message.find("frames") or message.tensor("files", "BYTES")).shape[0]

    def _hounsfield(self, message: Message, files: Sequence[Buffer], frames: NDArray[np.int32]) -> Iterator[Tensor]:
        made = self._pipeline.encode_hu(files, frames, _partial_files(message, len(files)))
        yield bytes_tensor("hu", made.pictures)
        yield _evidence_tensor(made.evidence)

    def _make_slices(self, message: Message, files: Sequence[Buffer], frames: NDArray[np.int32]) -> Slices:
        slabs = read_array(message, "slabs", "INT32", (len(frames),)) if message.find("slabs") else None
        pictures = bool(message.parameters.get("pictures"))
        partial = _partial_files(message, len(files))
        try:
            return self._pipeline.make_slices(
                files,
                frames,
                partial=partial,
                slabs=slabs,
                pictures=pictures,
                midlines=bool(message.parameters.get("midlines")),
                allocate=lambda shape: output_array(message, "slices", shape),
            )
        except InvalidSlabs as error:
            raise BadRequest(str(error)) from error

    def _requested_frames(self, message: Message, files: int) -> NDArray[np.int32]:
        frames = read_array(message, "frames", "INT32", (None, 2))
        if len(frames) > self._max_slices:
            raise BadRequest(f"{len(frames)} frames exceed the limit of {self._max_slices} per request; send fewer")
        if len(frames) and not (frames[:, 0].min() >= 0 and frames[:, 0].max() < files and frames[:, 1].min() >= 0):
            raise BadRequest(f"'frames' must hold file indices from 0 to {files - 1} and frame indices from 0")
        return frames

    def _frames_of(self, report: HeadersReport) -> NDArray[np.int32]:
        if len(report.series) != 1 or report.series[0].cost > self._max_slices:
            return _NO_FRAMES
        return np.array([(item.file, item.frame) for item in report.series[0].items], np.int32).reshape(-1, 2)


def _partial_files(message: Message, files: int) -> dict[int, PartialFile]:
    if not message.find("pixels_from"):
        return {}
    sizes = read_array(message, "sizes", "INT64", (files,)).tolist()
    pixels_from = read_array(message, "pixels_from", "INT64", (files,)).tolist()
    return {file: PartialFile(sizes[file], first) for file, first in enumerate(pixels_from) if first}


def _evidence_tensor(evidence: Sequence[Evidence]) -> Tensor:
    return bytes_tensor("evidence", [item.model_dump_json().encode() for item in evidence])


def _without_texts(report: HeadersReport) -> HeadersReport:
    """The report without texts about patients, which jobs alone keep: they read headers by the model `series`."""
    series = (item.model_copy(update={"description": None, "patient_digest": None}) for item in report.series)
    return report.model_copy(update={"series": tuple(series)})


def _report_tensor(report: HeadersReport, uid_key: bytes | None) -> Tensor:
    return bytes_tensor("report", [hash_uids(report, uid_key).model_dump_json().encode()])


def create_app(recipe: Recipe, settings: Settings) -> FastAPI:
    """The application for one recipe."""
    headers, uid_key = HeaderCache(), read_uid_key(settings.uid_key_file)
    pipeline = Pipeline(recipe, settings.decoders, read=headers.read)
    models: list[StageModel] = [SeriesModel(uid_key, headers.read), SlicesModel(pipeline, recipe, settings, uid_key)]
    return stage_app("preprocess", models, settings, ThreadRunner(settings))


def create() -> FastAPI:
    """The application as served."""
    configure_logging("preprocess")
    configure_tracing("preprocess")
    app = create_app(DEFAULT_RECIPE, Settings.read())
    gc.freeze()  # the collector passes over all objects of the start
    return app
