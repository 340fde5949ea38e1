"""Builds the objects of an assessment folder, and writes them in one step."""

import io
import secrets
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydicom import Dataset

from services.common.durable_files import fsync, write_file
from services.common.private_folder import FOLDER_MODE
from services.dicom_node.assessment_folder import OBJECTS, AssessmentFolder, BuiltObject, ObjectIndex
from services.dicom_node.kinds import Kind
from services.dicom_node.results.build import BUILDERS, Builder, Built, build_objects
from services.dicom_node.results.build_attempts import BuildAttempts
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.load_context import load_context
from services.dicom_node.results.object_frame import instance_uid
from services.dicom_node.results.result_object import ResultObject

_PART = f".{OBJECTS}.part."


class ReportNotBuilt(Exception):
    """The SR failed; the message names the class of its error. Nothing was written: try again."""


def build_folder(folder: AssessmentFolder, builders: Mapping[Kind, Builder] = BUILDERS) -> ObjectIndex:
    """Build the kinds of the context into `objects`, which appears complete, with its index.

    Raises
    ------
    ReportNotBuilt
        the SR was to be built, and failed
    OSError, ValueError
        as `load_context`; or the disk is full
    """
    _remove_parts(folder.path)
    context, kinds = load_context(folder), folder.read_context().kinds
    built = build_objects(context, kinds, BuildAttempts(folder.path).guarded(builders))
    for failed in built.failed:
        if failed.kind == "sr":
            raise ReportNotBuilt(failed.code)
    return _write(folder, context, built)


def _write(folder: AssessmentFolder, context: ResultContext, built: Built) -> ObjectIndex:
    part = folder.path / f"{_PART}{secrets.token_hex(8)}"
    part.mkdir(FOLDER_MODE)
    numbers: Counter[Kind] = Counter()
    objects = []
    for one in built.objects:
        numbers[one.kind] += 1
        objects.append(_write_object(part, context, one, numbers[one.kind]))
    index = ObjectIndex(objects=tuple(objects), failed=tuple(built.failed), omitted=tuple(built.omitted))
    write_file(part / folder.index_file.name, index.model_dump_json().encode())
    part.rename(folder.objects)
    fsync(folder.path)
    return index


def _write_object(part: Path, context: ResultContext, one: ResultObject, number: int) -> BuiltObject:
    name = f"{one.kind}-{number}.{'dcm' if isinstance(one.content, Dataset) else 'json'}"
    write_file(part / name, _encoded(one.content))
    if not isinstance(one.content, Dataset):
        return BuiltObject(kind=one.kind, file=name, sop_instance_uid=instance_uid(context, one.kind, number))
    return BuiltObject(
        kind=one.kind,
        file=name,
        sop_class_uid=one.content.SOPClassUID,
        sop_instance_uid=one.content.SOPInstanceUID,
        series_instance_uid=one.content.SeriesInstanceUID,
    )


def _encoded(content: Dataset | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    file = io.BytesIO()
    content.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _remove_parts(folder: Path) -> None:
    """Remove the incomplete files of a process that was killed."""
    for part in folder.glob(f"{_PART}*"):
        shutil.rmtree(part)
