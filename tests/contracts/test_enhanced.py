"""Enhanced CT: axial frames are assessed, and other frames are set aside."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.contracts.conftest import Chain
from tests.preprocess.dicom_files import enhanced, functional_group, macro, written
from tests.scans import head

pytestmark = pytest.mark.anyio

CORONAL = [1, 0, 0, 0, 0, -1]
LOCALIZER = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]


def stack(frames: int = 12) -> Dataset:
    """Frames of a head, each with a thicker skull than the one below."""
    found = enhanced(frames, Rows=512, Columns=512, BitsStored=16, HighBit=15, PixelRepresentation=1)
    found.PixelData = b"".join(head(skull=0.04 + 0.002 * index).tobytes() for index in range(frames))
    for index in range(frames):
        functional_group(found, index).PixelValueTransformationSequence = macro(RescaleSlope=1, RescaleIntercept=0)
    return found


async def test_only_axial_frames_are_assessed(chain: Chain) -> None:
    """In chunks of four; the byte range of a chunk includes set-aside frames between its frames."""
    found = stack()
    for frame in (0, 1):
        functional_group(found, frame).CTImageFrameTypeSequence = macro(FrameType=LOCALIZER)
    for frame in (4, 7):
        functional_group(found, frame).PlaneOrientationSequence = macro(ImageOrientationPatient=CORONAL)

    plain = (await chain.predict({"e.dcm": written(stack())})).json()
    report = (await chain.predict({"e.dcm": written(found)})).json()

    kept = [frame for frame in range(12) if frame not in (0, 1, 4, 7)]
    assert [item["position_mm"] for item in report["slices"]] == [5.0 * (frame - 2) for frame in kept]
    assert [item["frame"] for item in report["slices"]] == kept
    wanted = [plain["slices"][frame]["probabilities"] for frame in kept]
    assert [item["probabilities"] for item in report["slices"]] == wanted
    notes = [item["detail"] for item in report["reasons"] if item["code"] == "frames_set_aside"]
    assert notes == [
        "e.dcm: frames 1-2 (localizer) were not assessed.",
        "e.dcm: frames 5, 8 (not axial) were not assessed.",
    ]


async def test_without_an_axial_frame_the_file_is_refused(chain: Chain) -> None:
    found = stack(3)
    for frame in range(3):
        functional_group(found, frame).CTImageFrameTypeSequence = macro(FrameType=LOCALIZER)
    answer = await chain.predict({"e.dcm": written(found)})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_a_ct_slice")


async def test_frames_of_another_unit_are_not_assessed(chain: Chain) -> None:
    found = stack(9)
    functional_group(found, 8).PixelValueTransformationSequence[0].RescaleType = "MGML"
    report = (await chain.predict({"e.dcm": written(found)})).json()
    assert report["status"] == "not_assessed"
    assert [item["code"] for item in report["reasons"] if item["severity"] == "refuse"] == ["not_hounsfield"]
    assert np.array_equal(chain.extractor.batches, [])
