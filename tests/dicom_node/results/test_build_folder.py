"""The folder of an assessment, from its files to objects, and the process that builds them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from services.common.report_schemas import BloodGrid, BloodMap
from services.dicom_node.assessment_folder import (
    AssessmentContext,
    AssessmentFolder,
    ObjectIndex,
    ResultSettings,
    SliceSource,
)
from services.dicom_node.results.build import BUILDERS
from services.dicom_node.results.build_attempts import MOST_ATTEMPTS
from services.dicom_node.results.build_folder import ReportNotBuilt, build_folder
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.load_context import load_context
from services.dicom_node.results.result_object import ResultObject
from tests.running import ROOT

KILLED = """
import os, pathlib, sys
from services.dicom_node.assessment_folder import AssessmentFolder
from services.dicom_node.results.build_folder import build_folder
build_folder(AssessmentFolder(pathlib.Path(sys.argv[1])), {"segmentation": lambda _: os._exit(9)})
"""


@pytest.fixture
def folder(tmp_path: Path, assessed: ResultContext) -> AssessmentFolder:
    """The files of the assessment that the node writes."""
    made = AssessmentFolder.of(tmp_path, 1)
    (made.path / "key_images").mkdir(parents=True)
    paths = []
    for source in assessed.slices:
        paths.append(f"instances/{source.path.name}")
        (tmp_path / paths[-1]).parent.mkdir(exist_ok=True)
        (tmp_path / paths[-1]).write_bytes(source.path.read_bytes())
    blood = np.zeros((4, 32, 32, 5), "<f4")
    blood[2, 10:14, 10:14, 1] = 0.9
    made.blood_file.write_bytes(blood.tobytes())
    grid = BloodGrid(rows=32, columns=32, cell_height=16, cell_width=16)
    labels = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")
    report = assessed.report.model_copy(update={"blood": BloodMap(shape=blood.shape, labels=labels, grid=grid)})
    made.report_file.write_text(report.model_dump_json())
    for index, picture in assessed.key_images.items():
        Image.fromarray(picture).save(made.key_image(index))
    made.write_context(
        AssessmentContext(
            seed=assessed.seed,
            number=1,
            created=assessed.created,
            kinds=("sr", "text_sr", "key_objects", "secondary_capture", "segmentation", "fhir"),
            header=paths[0],
            instances=tuple(paths),
            slices=tuple(
                SliceSource(path=path, sop_instance_uid=one.sop_instance_uid, sop_class_uid=one.sop_class_uid)
                for path, one in zip(paths, assessed.slices, strict=True)
            ),
            key_images=tuple(assessed.key_images),
            warnings=assessed.warnings,
            settings=ResultSettings(device_serial_number="node-7"),
        )
    )
    return made


def child(folder: AssessmentFolder, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.dicom_node.results", str(folder.path)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def change_context(folder: AssessmentFolder, **values: Any) -> None:
    folder.write_context(folder.read_context().model_copy(update=values))


def test_the_context_is_loaded_from_the_files(folder: AssessmentFolder, assessed: ResultContext) -> None:
    context = load_context(folder)
    assert context.report.series == assessed.report.series
    assert [one.sop_instance_uid for one in context.slices] == [one.sop_instance_uid for one in assessed.slices]
    assert context.blood is not None
    assert context.blood.shape == (4, 32, 32, 5)
    assert float(context.blood.max()) == pytest.approx(0.9)
    assert {index: image.shape for index, image in context.key_images.items()} == {2: (512, 512, 3), 1: (512, 512, 3)}
    assert (context.header.PatientID, "PixelData" in context.header) == ("4711", False)
    assert context.device_serial_number == "node-7"


def test_the_process_builds_all_kinds_and_never_twice(folder: AssessmentFolder) -> None:
    first = child(folder)
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    index = folder.read_index()
    assert {one.kind for one in index.objects} == set(folder.read_context().kinds)
    assert not index.failed
    assert not index.omitted
    for one in index.objects:
        if one.file.endswith(".dcm"):
            made = dcmread(folder.objects / one.file)
            assert (made.SOPClassUID, made.SOPInstanceUID) == (one.sop_class_uid, one.sop_instance_uid)
            assert (made.SeriesInstanceUID, made.PatientID) == (one.series_instance_uid, "4711")
        else:
            assert json.loads((folder.objects / one.file).read_bytes())["resourceType"] == "Bundle"
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.objects.iterdir()}
    assert child(folder).returncode == 0
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.objects.iterdir()} == before
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "blood.bin",
        "context.json",
        "key_images",
        "objects",
        "report.json",
    ]


def test_another_process_at_another_time_builds_the_same_bytes(folder: AssessmentFolder) -> None:
    made = []
    for seed in ("1", "2"):
        assert child(folder, PYTHONHASHSEED=seed).returncode == 0
        made.append({path.name: path.read_bytes() for path in folder.objects.iterdir()})
        folder.objects.rename(folder.path.parent / f"objects-{seed}")
    assert made[0] == made[1]


def test_a_corrupt_input_names_its_class_and_place_only(folder: AssessmentFolder) -> None:
    folder.report_file.write_text('{"id": "Doe^Jane"}')
    result = child(folder)
    assert result.returncode == 1
    assert result.stderr.startswith("ValidationError in ")
    assert "Doe" not in result.stderr
    assert not folder.objects.exists()


def test_an_sr_that_fails_names_its_class(folder: AssessmentFolder) -> None:
    change_context(folder, kinds=("sr",), slices=())
    result = child(folder)
    assert (result.returncode, result.stderr) == (1, "the SR was not built: ValueError\n")


def test_too_little_memory_ends_the_process_without_objects(folder: AssessmentFolder) -> None:
    change_context(folder, settings=ResultSettings(memory_bytes=64 * 1024**2))
    assert child(folder).returncode != 0
    assert not folder.objects.exists()


def test_a_failed_kind_is_noted_and_the_others_are_written(folder: AssessmentFolder) -> None:
    def fail(_: ResultContext) -> Sequence[ResultObject]:
        raise MemoryError

    index = build_folder(folder, {**BUILDERS, "segmentation": fail})
    assert [(one.kind, one.code) for one in index.failed] == [("segmentation", "MemoryError")]
    assert ObjectIndex.model_validate_json(folder.index_file.read_bytes()) == index
    assert "sr" in {one.kind for one in index.objects}


def test_a_failed_sr_leaves_nothing_so_that_it_is_tried_again(folder: AssessmentFolder) -> None:
    def fail(_: ResultContext) -> Sequence[ResultObject]:
        raise KeyError("x")

    with pytest.raises(ReportNotBuilt, match="KeyError"):
        build_folder(folder, {**BUILDERS, "sr": fail})
    assert not folder.objects.exists()
    build_folder(folder)
    assert folder.index_file.is_file()


def test_a_kind_that_kills_the_process_is_given_up(folder: AssessmentFolder) -> None:
    change_context(folder, kinds=("sr", "segmentation"))
    attempts = folder.path / "build_attempts.json"
    attempts.write_text(json.dumps({"segmentation": MOST_ATTEMPTS - 1}))
    killed = subprocess.run([sys.executable, "-c", KILLED, folder.path], cwd=ROOT, check=False)
    assert killed.returncode == 9
    assert json.loads(attempts.read_text()) == {"segmentation": MOST_ATTEMPTS}
    assert not folder.objects.exists()
    index = build_folder(folder)
    assert [(one.kind, one.code) for one in index.failed] == [("segmentation", "TooManyAttempts")]
    assert [one.kind for one in index.objects] == ["sr"]


def test_remains_of_a_killed_process_are_removed(folder: AssessmentFolder) -> None:
    part = folder.path / ".objects.part.0123"
    part.mkdir()
    (part / "sr-1.dcm").write_bytes(b"half")
    change_context(folder, kinds=("text_sr",))
    build_folder(folder)
    assert not part.exists()
    assert sorted(path.name for path in folder.objects.iterdir()) == ["index.json", "text_sr-1.dcm"]
