"""Headers are read from a file's first bytes, agree with pydicom, and stay cheap for hostile files."""

import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import config
from pydicom.uid import LegacyConvertedEnhancedCTImageStorage, MRImageStorage, SecondaryCaptureImageStorage

from services.preprocess.dataset_reader import MAX_READS, ReadBudget
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.header import DicomHeader
from services.preprocess.header_reader import read_header
from tests.preprocess.dicom_files import (
    AXIAL,
    COMPRESSED,
    NATIVE,
    ct,
    dataset,
    deflated,
    enhanced,
    functional_group,
    macro,
    nested,
    rewritten,
    without_preamble,
    written,
)


def header_of(file: bytes) -> DicomHeader:
    return read_header(file, len(file))


def code_of(file: bytes, size: int | None = None) -> str:
    with pytest.raises(UnreadableFile) as caught:
        read_header(file, len(file) if size is None else size)
    return caught.value.code


@pytest.mark.parametrize("syntax", [*NATIVE, *COMPRESSED])
def test_header_attributes(syntax: str) -> None:
    changes: dict[str, Any] = {"KVP": 120, "BodyPartExamined": "HEAD", "ConvolutionKernel": "H31s", "SliceThickness": 5}
    header = header_of(ct(syntax, **changes, SpacingBetweenSlices=4.5))
    assert header.is_ct_slice
    assert (header.rows, header.columns, header.number_of_frames, header.samples_per_pixel) == (64, 64, 1, 1)
    assert (header.sop_instance_uid, header.series_instance_uid, header.study_instance_uid) == (
        "1.2.3.1",
        "1.2.3",
        "1.2",
    )
    assert (header.modality, header.body_part_examined, header.instance_number) == ("CT", "HEAD", 1)
    frame = header.frames[0]
    assert (frame.convolution_kernel, frame.kvp, frame.slice_thickness_mm, frame.spacing_between_slices_mm) == (
        "H31s",
        120,
        5,
        4.5,
    )
    assert header.frames[0].image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert header.frames[0].position_mm == (-125.0, -125.0, 0.0)
    assert header.frames[0].image_orientation == AXIAL
    assert (header.frames[0].rescale_slope, header.frames[0].rescale_intercept) == (1, -1024)


def test_first_bytes_suffice() -> None:
    file = ct()
    head = file[: file.index(b"\xe0\x7f\x10\x00") + 12]
    assert read_header(head, len(file)) == header_of(file)


def test_incomplete_headers() -> None:
    file = ct(TextValue="-" * 5000)
    for end in (200, 300, 400, 600, 4000):
        with pytest.raises(IncompleteHeader):
            read_header(file[:end], len(file))


@pytest.mark.parametrize("agent", ["NONE", "no", ""])
def test_no_contrast(agent: str) -> None:
    assert not header_of(ct(ContrastBolusAgent=agent)).contrast_tags
    assert not header_of(ct()).contrast_tags


def test_contrast() -> None:
    assert header_of(ct(ContrastBolusAgent="IOHEXOL 300")).contrast_tags
    assert header_of(ct(ContrastBolusAgentSequence=[pydicom.Dataset()])).contrast_tags


def with_value(keyword: str, value: bytes, vr: str = "", syntax: str = NATIVE[1], **changes: Any) -> bytes:
    return rewritten(written(dataset(**changes), syntax), keyword, value, vr)


DECIDING = {
    "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
    "ImagePositionPatient": "1\\2\\3",
    "PixelSpacing": "0.5\\0.5",
    **dict.fromkeys(("RescaleSlope", "RescaleIntercept", "InstanceNumber", "NumberOfFrames"), "1"),
    **dict.fromkeys(("SliceThickness", "SpacingBetweenSlices"), "5"),
}


@pytest.mark.parametrize("syntax", NATIVE[:2])
@pytest.mark.parametrize("bad", [b"x", b"nan", b"inf", b"1e999", b"1/2"])
@pytest.mark.parametrize("keyword", DECIDING)
def test_an_unreadable_number_for_pixels_or_order_is_named(keyword: str, bad: bytes, syntax: str) -> None:
    good, file = DECIDING[keyword].encode(), written(dataset(**{keyword: DECIDING[keyword]}), syntax)
    for value in (good, b" " + good + b" \0", b""):
        assert header_of(rewritten(file, keyword, value)).is_ct_slice
    with pytest.raises(UnreadableFile) as caught:
        header_of(rewritten(file, keyword, bad + good[1:]))
    assert (caught.value.code, caught.value.tag) == ("unreadable_tag", keyword)
    assert caught.value.uids == ("1.2", "1.2.3")


def test_decimal_commas_are_read() -> None:
    file = with_value("RescaleSlope", b"0,97")
    assert header_of(file).frames[0].rescale_slope == 0.97
    assert header_of(with_value("PixelSpacing", b"0,488\\0,5")).frames[0].row_spacing_mm == 0.488


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        *[(keyword, "LO", b"64") for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit")],
        *[(keyword, "US", b"\7\0\7\0") for keyword in ("SamplesPerPixel", "PixelRepresentation", "PixelPaddingValue")],
        ("SamplesPerPixel", "US", b"\0\0"),
        ("PixelRepresentation", "US", b"\2\0"),
        ("BitsAllocated", "US", b"\x0c\0"),
    ],
)
def test_an_unreadable_pixel_format_is_named(keyword: str, vr: str, value: bytes) -> None:
    with pytest.raises(UnreadableFile) as caught:
        header_of(with_value(keyword, value, vr, PixelPaddingValue=0))
    assert (caught.value.code, caught.value.tag) == ("unreadable_tag", keyword)


def test_an_unreadable_tag_of_another_object_sets_it_aside() -> None:
    localizer = with_value("RescaleSlope", b"x", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert code_of(localizer) == "not_a_ct_slice"
    assert code_of(with_value("PixelSpacing", b"x", SOPClassUID=MRImageStorage, Modality="MR")) == "not_a_ct_slice"
    assert header_of(with_value("KVP", b"12O", KVP=120)).frames[0].kvp is None


@pytest.mark.parametrize("changes", [{"NumberOfFrames": None}, {"NumberOfFrames": 2}, {"Rows": 63}, {"Columns": 63}])
def test_more_pixels_than_the_header_states(changes: dict[str, Any]) -> None:
    """Surplus pixels would be ignored without an error."""
    found = enhanced(3)
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    assert code_of(written(found)) == "surplus_pixels"


@pytest.mark.parametrize("syntax", NATIVE)
def test_a_file_after_the_pixels_is_refused(syntax: str) -> None:
    """Two concatenated files: the second would be ignored."""
    one = ct(syntax)
    assert code_of(one + one) == "surplus_pixels"
    assert header_of(one + bytes(1000)).rows


def test_padding_after_the_pixels_is_allowed() -> None:
    assert header_of(ct(PixelData=bytes(2 * 64 * 64 + 126))).rows == 64


def test_pixel_spacing_is_as_stated_or_absent() -> None:
    for spacing in ([0, 0.5], [-1, 2], [5, 0.5]):
        frame = header_of(ct(PixelSpacing=spacing)).frames[0]
        assert (frame.row_spacing_mm, frame.column_spacing_mm, frame.has_pixel_spacing) == (*spacing, True)
    frame = header_of(ct(PixelSpacing=None)).frames[0]
    assert (frame.row_spacing_mm, frame.column_spacing_mm, frame.has_pixel_spacing) == (1, 1, False)


def test_enhanced_functional_groups() -> None:
    header = header_of(written(enhanced(4, spacing_mm=2.5)))
    assert header.is_ct_slice
    assert header.number_of_frames == 4
    assert [frame.position_mm for frame in header.frames] == [(-125, -125, 2.5 * index) for index in range(4)]
    assert {frame.image_orientation for frame in header.frames} == {(1, 0, 0, 0, 1, 0)}
    assert [frame.rescale_slope for frame in header.frames] == [1, 2, 3, 4]
    assert header.frames[3].row_spacing_mm == 4


def test_attributes_of_a_legacy_converted_object_are_read() -> None:
    """Attributes without a functional group are in the unassigned groups, shared or per frame."""
    found = enhanced(3)
    found.SOPClassUID = LegacyConvertedEnhancedCTImageStorage
    shared = found.SharedFunctionalGroupsSequence[0]
    shared.UnassignedSharedConvertedAttributesSequence = macro(ContrastBolusAgent="IOHEXOL", RescaleType="US")
    for index in range(3):
        own = macro(ConvolutionKernel="BONE", KVP=80 + index, PixelSpacing=[9, 9])
        functional_group(found, index).UnassignedPerFrameConvertedAttributesSequence = own
    header = header_of(written(found))
    assert header.contrast_tags == ("ContrastBolusAgent",)
    assert [frame.kvp for frame in header.frames] == [80, 81, 82]
    assert {(frame.convolution_kernel, frame.rescale_type) for frame in header.frames} == {("BONE", "US")}
    assert header.frames[0].row_spacing_mm != 9


def test_contrast_used_in_any_frame_counts() -> None:
    found = enhanced(3)
    for index, said in enumerate(("NO", "YES", "NO")):
        functional_group(found, index).ContrastBolusUsageSequence = macro(ContrastBolusAgentAdministered=said)
    assert header_of(written(found)).contrast_tags == ("ContrastBolusAgentAdministered",)
    functional_group(found, 1).ContrastBolusUsageSequence = macro(ContrastBolusAgentAdministered="NO")
    assert header_of(written(found)).contrast_tags == ()


def test_the_anatomic_region_replaces_a_missing_body_part() -> None:
    found = enhanced(2, BodyPartExamined=None)
    region = macro(AnatomicRegionSequence=macro(CodeMeaning="Chest"))
    found.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = region
    assert header_of(written(found)).body_part_examined == "CHEST"
    found.BodyPartExamined = "HEAD"
    assert header_of(written(found)).body_part_examined == "HEAD"
    assert (
        header_of(ct(BodyPartExamined=None, AnatomicRegionSequence=macro(CodeMeaning="Foot"))).body_part_examined
        == "FOOT"
    )


@pytest.mark.parametrize("undefined", [True, False])
def test_enhanced_sequences_of_either_length(undefined: bool) -> None:  # noqa: FBT001 - parametrised
    found = enhanced(3)
    for sequence in (found.SharedFunctionalGroupsSequence, found.PerFrameFunctionalGroupsSequence):
        sequence.is_undefined_length = undefined
        for group in sequence:
            group.is_undefined_length_sequence_item = undefined
            for element in group:
                element.value.is_undefined_length = undefined
                element.value[0].is_undefined_length_sequence_item = undefined
    header = header_of(written(found))
    assert [frame.position_mm for frame in header.frames] == [(-125, -125, 5 * index) for index in range(3)]


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"SOPClassUID": SecondaryCaptureImageStorage},
        {"SOPClassUID": MRImageStorage, "Modality": "MR"},
        {"SOPClassUID": None, "Modality": "MR"},
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
        {"PhotometricInterpretation": "PALETTE COLOR"},
    ],
)
def test_other_objects_are_no_ct_slices(changes: dict[str, Any]) -> None:
    assert not header_of(ct(**changes)).is_ct_slice


def test_modality_suffices_without_a_class() -> None:
    assert header_of(ct(SOPClassUID=None)).is_ct_slice


def test_files_other_than_dicom() -> None:
    assert code_of(b"") == "empty_file"
    assert code_of(b"x") == "not_dicom"
    assert code_of(b"A text of some length, with nothing in it that could be an image.\n" * 20) == "not_dicom"
    assert code_of(b"\xff\xd8\xff\xe0" + bytes(500)) == "not_dicom"
    assert code_of(bytes(1000)) == "not_dicom"


def test_dicom_without_pixels() -> None:
    report = dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR", PixelData=None)
    assert code_of(written(report)) == "not_an_image"


def test_ct_whose_pixels_are_missing_is_truncated() -> None:
    assert code_of(written(dataset(PixelData=None))) == "truncated"


def test_dicomdir() -> None:
    found = pydicom.Dataset()
    found.SOPClassUID = "1.2.840.10008.1.3.10"
    file = written(found)
    assert code_of(file) == "dicomdir"
    assert code_of(file, size=10 * len(file)) == "dicomdir"


def test_truncated_pixels_are_detected_by_the_header() -> None:
    file = ct()
    assert code_of(file[:-1]) == "truncated"
    assert code_of(file[:1000], size=len(file) - 1) == "truncated"


def test_pixels_shorter_than_the_picture() -> None:
    assert code_of(ct(PixelData=bytes(2 * 64 * 63))) == "truncated"


def test_every_truncation_has_a_code() -> None:
    file = ct()
    codes = {code_of(file[:end]) for end in range(0, 1200, 7)}
    assert codes <= {"empty_file", "not_dicom", "truncated", "corrupt_header"}


def test_a_truncated_localizer_is_set_aside() -> None:
    file = ct(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert not header_of(file[:-100]).is_ct_slice


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Rows": 5000}, "too_large"),
        ({"Columns": 65535}, "too_large"),
        ({"NumberOfFrames": 2001}, "too_large"),
        ({"NumberOfFrames": 2}, "truncated"),
        ({"Rows": 0}, "corrupt_header"),
        ({"BitsAllocated": 32}, "corrupt_header"),
        ({"BitsAllocated": 17}, "unreadable_tag"),
        ({"BitsStored": 0}, "corrupt_header"),
        ({"BitsStored": 17}, "corrupt_header"),
        ({"HighBit": 3}, "corrupt_header"),
    ],
)
def test_inconsistent_headers(changes: dict[str, Any], code: str) -> None:
    found = dataset()
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    assert code_of(written(found)) == code


def test_unknown_syntax() -> None:
    assert code_of(ct().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0")) == "unsupported_syntax"


def test_deflated_files_are_not_inflated() -> None:
    """Four megabytes of dashes after a header; the cost of a refusal is independent of their size."""
    file = deflated(TextValue="-" * 4_000_000)
    assert len(file) < 20_000
    tracemalloc.start()
    assert code_of(file) == "unsupported_syntax"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_nested_sequences(depth: int) -> None:
    assert header_of(nested(depth)).sop_instance_uid == "1.2.3.1"


@pytest.mark.parametrize("depth", [5_000, 100_000])
def test_deeply_nested_sequences(depth: int) -> None:
    """pydicom recurses into them, up to Python's limit."""
    file = nested(depth)
    assert code_of(file) == "corrupt_header"
    assert code_of(file[:20_000], len(file)) == "corrupt_header"


def test_too_many_elements() -> None:
    element = b"\x09\x00\x01\x10UN\0\0\0\0\0\0"
    file = ct()
    at = file.index(b"\x20\x00\x0d\x00UI")
    assert code_of(file[:at] + element * MAX_READS + file[at:]) == "too_large"


def test_file_without_preamble() -> None:
    assert header_of(without_preamble(written(dataset(), NATIVE[0]))).sop_instance_uid == "1.2.3.1"
    assert header_of(without_preamble(written(dataset(), NATIVE[1]))).sop_instance_uid == "1.2.3.1"


def test_a_syntax_with_the_wrong_vr() -> None:
    file = written(dataset(), NATIVE[0]).replace(b"UI\x12\x001.2.840.10008.1.2\0", b"UI\x14\x001.2.840.10008.1.2.1\0")
    assert header_of(file).sop_instance_uid == "1.2.3.1"


def test_reading_logs_and_warns_of_nothing(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> None:
    """pydicom's warnings about these quote the value."""
    before = config.settings.reading_validation_mode
    odd = ct(SpecificCharacterSet="ISO_IR 192", BodyPartExamined="HEAD").replace(b"ISO_IR 192", b"SECRET\\XYZ")
    assert header_of(odd).body_part_examined == "HEAD"
    assert code_of(odd.replace(b"-125.0\\-125.0\\0.0", b"-125.0\\SECRET\\0.0")) == "unreadable_tag"
    file = ct(SpecificCharacterSet="ISO_IR 192", ContrastBolusAgent="SECRET").replace(b"SECRET", b"SE\xffRET")
    assert header_of(file).contrast_tags
    assert not caplog.records
    assert not recwarn.list
    assert config.settings.reading_validation_mode == before
    assert not config.logger.disabled


def test_headers_may_be_read_by_many_threads() -> None:
    """Warnings are suppressed for one file at a time."""
    files = [ct(), ct(SpecificCharacterSet="ISO_IR 192").replace(b"ISO_IR 192", b"ISO_IR 999")] * 20
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        assert {header.rows for header in threads.map(header_of, files)} == {64}
    assert warnings.filters == filters


def test_agrees_with_pydicom_on_its_own_files() -> None:
    """Both byte orders and VRs, private and nested sequences, several character sets."""
    agreed = 0
    for path in sorted(Path(pydicom.__file__).parent.glob("data/test_files/*.dcm")):
        file = path.read_bytes()
        try:
            header = header_of(file)
        except UnreadableFile:
            continue
        with warnings.catch_warnings():  # pydicom warns of unusual files
            warnings.simplefilter("ignore")
            known = pydicom.dcmread(BytesIO(file), stop_before_pixels=True, force=True)
            assert header.sop_instance_uid == known.get("SOPInstanceUID", "")
            assert header.modality == known.get("Modality", "")
            assert (header.rows, header.columns) == (known.get("Rows", 0), known.get("Columns", 0))
        agreed += 1
    assert agreed > 40


def test_the_headers_of_a_request_share_a_budget() -> None:
    """A zip of some kilobytes may hold hundreds of files with half a million elements."""
    file, budget = ct(), ReadBudget(files=1)
    read_header(file, len(file), budget)
    used = 2 * MAX_READS + 4000 - budget.left
    assert 50 < used < 4000
    budget.left = used - 1
    with pytest.raises(UnreadableFile, match="too_large"):
        read_header(file, len(file), budget)
    assert budget.left == 0
