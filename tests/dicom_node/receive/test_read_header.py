import random
import struct
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from services.dicom_node.receive.read_header import FileHeader, read_header
from services.dicom_node.receive.unreadable import DETAILS, UNREADABLE_CODES, UnreadableInstance
from services.dicom_node.software import SOFTWARE
from tests.scans import ct_slice

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
EXPLICIT = "1.2.840.10008.1.2.1"


def read(folder: Path, file: bytes) -> FileHeader:
    path = folder / "file"
    path.write_bytes(file)
    return read_header(path)


def code(folder: Path, file: bytes) -> str:
    with pytest.raises(UnreadableInstance) as error:
        read(folder, file)
    return error.value.code


def rewritten(folder: Path, file: bytes, syntax: str) -> bytes:
    path = folder / "written"
    path.write_bytes(file)
    found = dcmread(path)
    found.file_meta.TransferSyntaxUID = UID(syntax)
    little = syntax != ExplicitVRBigEndian
    dcmwrite(path, found, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little, enforce_file_format=True)
    return path.read_bytes()


def items(*datasets: Dataset, undefined: bool) -> Sequence:
    made = Sequence(datasets)
    for item in datasets:
        item.is_undefined_length_sequence_item = undefined
    made.is_undefined_length = undefined
    return made


def enhanced(folder: Path, *, undefined: bool, syntax: str, shared: bool) -> bytes:
    path = folder / "made"
    path.write_bytes(ct_slice(SOPClassUID=ENHANCED_CT, NumberOfFrames=2, SliceThickness=None, BodyPartExamined=None))
    found = dcmread(path)
    del found.ImageOrientationPatient
    frames = []
    for number in range(2):
        frame, orientation, measures, kernel, anatomy, region = (Dataset() for _ in range(6))
        orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, number]
        measures.SliceThickness, kernel.ConvolutionKernel = 2.5 + number, "Hr40"
        region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "12738006", "SCT", "Brain"
        anatomy.AnatomicRegionSequence = items(region, undefined=undefined)
        frame.PlaneOrientationSequence = items(orientation, undefined=undefined)
        frame.PixelMeasuresSequence = items(measures, undefined=undefined)
        frame.CTReconstructionSequence = items(kernel, undefined=undefined)
        frame.FrameAnatomySequence = items(anatomy, undefined=undefined)
        frames.append(frame)
    if shared:
        found.SharedFunctionalGroupsSequence = items(frames[0], undefined=undefined)
        found.PerFrameFunctionalGroupsSequence = items(Dataset(), Dataset(), undefined=undefined)
    else:
        found.SharedFunctionalGroupsSequence = items(Dataset(), undefined=undefined)
        found.PerFrameFunctionalGroupsSequence = items(*frames, undefined=undefined)
    found.file_meta.MediaStorageSOPClassUID, found.file_meta.TransferSyntaxUID = UID(ENHANCED_CT), UID(syntax)
    found.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True, enforce_file_format=True)
    return path.read_bytes()


@pytest.mark.parametrize("syntax", [EXPLICIT, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_reads_the_attributes_of_a_slice(tmp_path: Path, syntax: str) -> None:
    file = ct_slice(3, StudyDescription="CCT plain", SeriesDescription="Kopf 5.0 Hr40", ConvolutionKernel="Hr40f")
    found = read(tmp_path, rewritten(tmp_path, file, syntax))
    header = found.instance
    assert (header.study_instance_uid, header.series_instance_uid) == ("2.25.1", "2.25.10")
    assert (header.sop_instance_uid, header.transfer_syntax_uid) == ("2.25.10.4", syntax)
    assert (header.modality, header.instance_number, header.number_of_frames) == ("CT", 4, 1)
    assert header.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert (header.study_description, header.series_description) == ("CCT plain", "Kopf 5.0 Hr40")
    assert (header.body_part_examined, header.convolution_kernel, header.software) == ("HEAD", "Hr40f", "")
    assert (header.slice_thickness_mm, header.image_orientation) == (5, (1, 0, 0, 0, 1, 0))
    assert 132 < found.dataset_at < 1000


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("syntax", [EXPLICIT, ImplicitVRLittleEndian])
def test_reads_the_first_frame_of_enhanced_ct(tmp_path: Path, *, undefined: bool, shared: bool, syntax: str) -> None:
    header = read(tmp_path, enhanced(tmp_path, undefined=undefined, syntax=syntax, shared=shared)).instance
    assert (header.sop_class_uid, header.number_of_frames) == (ENHANCED_CT, 2)
    assert (header.slice_thickness_mm, header.image_orientation) == (2.5, (1, 0, 0, 0, 1, 0))
    assert (header.convolution_kernel, header.body_part_examined) == ("Hr40", "BRAIN")


def test_decodes_text_by_its_character_set(tmp_path: Path) -> None:
    for character_set in ("ISO_IR 100", "ISO_IR 192", ["", "ISO 2022 IR 87"]):
        text = "頭部" if isinstance(character_set, list) else "Schädel"
        file = ct_slice(SpecificCharacterSet=character_set, SeriesDescription=text)
        assert read(tmp_path, file).instance.series_description == text


def test_recognizes_objects_of_this_project(tmp_path: Path) -> None:
    assert read(tmp_path, ct_slice(ManufacturerModelName=SOFTWARE)).instance.software == SOFTWARE
    assert not read(tmp_path, ct_slice(ManufacturerModelName="SOMATOM")).instance.software


def test_malformed_values_are_absent(tmp_path: Path) -> None:
    file = ct_slice(SliceThickness="7.25").replace(b"7.25", b"7,2x").replace(b"IS\x02\x001 ", b"IS\x02\x00x ")
    header = read(tmp_path, file).instance
    assert (header.instance_number, header.slice_thickness_mm) == (None, None)


def test_accepts_a_file_that_states_the_other_little_endian_syntax(tmp_path: Path) -> None:
    stated = b"UI\x14\x00" + EXPLICIT.encode() + b"\0"
    lying = ct_slice().replace(stated, b"UI\x14\x00" + ImplicitVRLittleEndian.encode() + b"\0\0\0")
    assert lying != ct_slice()
    assert read(tmp_path, lying).instance.modality == "CT"


def test_refuses_by_name(tmp_path: Path) -> None:
    file = ct_slice()
    assert code(tmp_path, b"") == "not_dicom"
    assert code(tmp_path, b"\0" * 200) == "not_dicom"
    assert code(tmp_path, file[:-2]) == "truncated"
    assert code(tmp_path, file[:300]) == "truncated"
    assert code(tmp_path, ct_slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")) == "unsupported_sop_class"
    assert code(tmp_path, file.replace(b"UI\x08\x002.25.10\0", b"UI\x08\x002.25.x0\0")) == "invalid_uid"
    assert code(tmp_path, ct_slice(StudyInstanceUID=None)) == "invalid_uid"
    assert code(tmp_path, ct_slice(PixelData=None)) == "no_pixel_data"
    assert code(tmp_path, file.replace(b"2.25.10.1\0", b"2.25.10.9\0", 1)) == "meta_differs"
    deflated = file.replace(EXPLICIT.encode() + b"\0", DeflatedExplicitVRLittleEndian.encode()[:20])
    assert code(tmp_path, deflated) == "unsupported_transfer_syntax"


def test_names_uids_of_a_refused_instance(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInstance) as error:
        read(tmp_path, ct_slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    assert (error.value.sop_class_uid, error.value.sop_instance_uid) == ("1.2.840.10008.5.1.4.1.1.7", "2.25.10.1")


def test_bounds_nested_and_numerous_items(tmp_path: Path) -> None:
    file = ct_slice()
    start = read(tmp_path, file).dataset_at
    opened = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert read(tmp_path, file[:start] + opened * 30 + closed * 30 + file[start:]).instance.modality == "CT"
    assert code(tmp_path, file[:start] + opened * 40 + closed * 40 + file[start:]) == "too_deep"
    assert code(tmp_path, file[:start] + opened * 20_000) == "too_deep"
    empty_items = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 500_000
    assert code(tmp_path, file[:start] + empty_items) == "too_many_elements"
    huge = b"\x08\x00\x60\x00UT\0\0" + struct.pack("<I", 0xFFFFFF00)
    assert code(tmp_path, file[:start] + huge) == "truncated"


def test_random_damage_ends_in_a_header_or_a_refusal(tmp_path: Path) -> None:
    chosen, refused = random.Random(7), 0  # noqa: S311 - not for cryptography
    whole = enhanced(tmp_path, undefined=True, syntax=EXPLICIT, shared=False)
    for _ in range(300):
        file = bytearray(whole)
        for _ in range(chosen.randrange(1, 9)):
            file[chosen.randrange(128, 2200)] = chosen.randrange(256)
        try:
            read(tmp_path, bytes(file))
        except UnreadableInstance:
            refused += 1
    assert 100 < refused < 300


def test_every_refusal_fits_into_an_error_comment() -> None:
    for each in UNREADABLE_CODES:
        assert 10 < len(DETAILS[each]) <= 64  # characters of LO


def test_the_patient_is_told_apart_and_not_named(tmp_path: Path) -> None:
    def patient(**tags: Any) -> str | None:
        tags = {"PatientName": "DOE^J", "SeriesInstanceUID": "2.25.7", **tags}
        return read(tmp_path, ct_slice(**tags)).instance.patient

    first = patient(PatientID="P1")
    assert first == patient(PatientID="P1 ", AccessionNumber="7")
    assert first != patient(PatientID="P2")
    assert patient(PatientID="") not in (first, patient(PatientID="", PatientName="ROE^J"))
    assert "P1" not in str(first)
