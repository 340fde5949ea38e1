"""The rules of acceptance as data: code, severity, message, rationale and source of each reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.common.schemas import Severity

_HERE: Final = "this project"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    message : the `detail` of its reasons, with `{...}` filled in
    fixed : whether a site's severities leave this refusal as it is
    """

    code: str
    severity: Severity
    message: str
    rationale: str
    source: str = _HERE
    fixed: bool = False


_RULES: Final = (
    Rule(
        "constant_image",
        "refuse",
        "{slices} of {total} slices are uniform images: decoding failed, or they hold no image.",
        "A decoder that fails without an error leaves a uniform image, which would be scored as healthy.",
        fixed=True,
    ),
    Rule(
        "not_a_head",
        "refuse",
        "The pixels do not look like a head: bone {bone:.1%}, brain {brain:.1%}, air {air:.1%}; "
        "{centre_air:.0%} of the area amid the bone is air.",
        "The networks learnt from heads only. No slice of the series has bone, brain and air in the shares of a head, "
        "or the skull holds no brain.",
    ),
    Rule(
        "wrong_scale",
        "refuse",
        "Air measures {air_hu:.0f} HU instead of -1000: the values are not Hounsfield units.",
        "The windows are fixed on the Hounsfield scale; on another scale blood lies outside them.",
        "DICOM PS3.3 C.11.1.1.2 (HU: -1000 is air, 0 is water)",
    ),
    Rule(
        "other_body_part",
        "refuse",
        "BodyPartExamined says {part} in {slices} of {total} slices, not head.",
        "The networks learnt from heads only. The tag is often filled in by habit, so only a known other part in most "
        "slices counts.",
        "DICOM PS3.3 C.7.3.1, PS3.16 annex L",
    ),
    Rule(
        "little_brain",
        "warn",
        "The slices show little brain: {most_brain:.1%} in the slice with the most, beside {bone:.1%} bone.",
        "Slices above the brain show no haemorrhage, and phantoms look like such slices.",
    ),
    Rule(
        "mixed_body_parts",
        "warn",
        "BodyPartExamined says {part} in {slices} of {total} slices: they may not belong to the head.",
        "Slices of another part in the series of a head are scored as slices of the head.",
        "DICOM PS3.3 C.7.3.1, PS3.16 annex L",
    ),
    Rule(
        "not_hounsfield",
        "refuse",
        "The values are not Hounsfield units of plain attenuation: {evidence}.",
        "The windows are fixed on the Hounsfield scale. Dual-energy maps measure another quantity, or a material was "
        "removed from them (HU_MOD, virtual non-contrast), and blood with it.",
        "DICOM PS3.3 C.11.1.1.2 (RescaleType), C.8.2.1.1.1 and C.8.15.3 (ImageType, FrameType); the vendors' names",
    ),
    Rule(
        "implausible_rescale",
        "refuse",
        "RescaleSlope is {slope:g} and RescaleIntercept {intercept:g}: no CT scanner stores such values.",
        "The stored values must reach from air to water. A slope of 0 makes all values equal, and a negative slope "
        "swaps dark and bright.",
        "DICOM PS3.3 C.11.1.1.2; int16 Hounsfield units",
    ),
    Rule(
        "no_order",
        "refuse",
        "ImagePositionPatient {fault}, and neither SliceLocation nor InstanceNumber orders the slices.",
        "The series network reads slices from the feet to the head; without an order there is no series.",
        "DICOM PS3.3 C.7.6.2.1.1 (ImagePositionPatient)",
        fixed=True,
    ),
    Rule(
        "implausible_geometry",
        "refuse",
        "The geometry is not that of a head CT: {faults}.",
        "These values decide the size and shape of the head in the picture: wrong values distort the head, or shrink a "
        "haemorrhage to a few pixels.",
        "DICOM PS3.3 C.7.6.2 (Image Plane), 10.7.1.3 (PixelSpacing)",
    ),
    Rule(
        "blank_slices",
        "warn",
        "{slices} of {total} slices are uniform images.",
        "No decoder can have failed on uncompressed slices, but a uniform slice shows no haemorrhage.",
    ),
    Rule(
        "contrast",
        "warn",
        "Contrast agent is recorded in {tags}; the networks learnt from plain CT.",
        "Contrast agent in vessels and membranes is as bright as fresh blood. Descriptions count too, because agents "
        "are often not recorded.",
        "DICOM PS3.3 C.7.6.4 (Contrast/Bolus), C.7.3.1 (SeriesDescription, ProtocolName)",
    ),
    Rule(
        "bone_kernel",
        "warn",
        "The reconstruction kernel {kernel} is sharp and made for bone; a soft kernel shows blood better.",
        "A sharp kernel multiplies the noise, and fresh blood differs from brain by 30 HU only.",
        "DICOM PS3.3 C.8.2.1 (ConvolutionKernel); the vendors' names of their kernels",
    ),
    Rule(
        "several_patients",
        "refuse",
        "The files have {patients} different PatientIDs: one SeriesInstanceUID holds slices of several patients.",
        "A report of one patient would show the haemorrhage of another.",
        "DICOM PS3.3 A.1.2 (a series belongs to one patient)",
    ),
    Rule(
        "several_reconstructions",
        "warn",
        "The slices differ in {attributes}: one SeriesInstanceUID holds more than one reconstruction.",
        "Slices of two reconstructions alternate once they are sorted; the series network learnt from one.",
        "DICOM PS3.3 A.1.2.3 (Series)",
    ),
    Rule(
        "several_stacks",
        "warn",
        "Most of the {positions} positions hold several slices: several acquisitions or copies in one series.",
        "Slices of several acquisitions alternate once they are sorted by position.",
        "DICOM PS3.3 A.1.2.3 (Series)",
    ),
    Rule(
        "unusual_kvp",
        "warn",
        "KVP is {kvp:g}, outside 100 to 140: Hounsfield units may be off.",
        "Attenuation depends on the energy of the X-rays, most of all for blood and contrast agent.",
        "DICOM PS3.3 C.8.2.1 (KVP)",
    ),
    Rule(
        "no_rescale",
        "warn",
        "RescaleSlope or RescaleIntercept is missing: the values may not be Hounsfield units.",
        "A missing slope counts as 1, a missing intercept as 0.",
        "DICOM PS3.3 C.8.2.1 and C.11.1 (required for CT)",
    ),
    Rule(
        "shifted_scale",
        "warn",
        "Air measures {air_hu:.0f} HU instead of -1000: the values may be shifted or scaled.",
        "Fresh blood is 30 HU above brain, and the narrowest window is 200 HU wide: a shift of 100 HU hides or mimics "
        "blood.",
        "DICOM PS3.3 C.11.1.1.2 (HU: -1000 is air, 0 is water)",
    ),
    Rule(
        "unspecified_units",
        "warn",
        "RescaleType is US (unspecified): the values are read as Hounsfield units.",
        "Some converters write US into every image. On another scale, wrong_scale or not_a_head refuses the series.",
        "DICOM PS3.3 C.11.1.1.2 (RescaleType)",
    ),
    Rule(
        "monoenergetic",
        "warn",
        "This is a monoenergetic image of dual-energy CT; the networks learnt from single-energy CT.",
        "The contrast of blood to brain depends on the energy that the image was computed for.",
        "DICOM PS3.3 C.8.2.1.1.1 and C.8.15.3 (ImageType, FrameType); the vendors' names",
    ),
    Rule(
        "no_pixel_spacing",
        "warn",
        "PixelSpacing is missing: pixels are read as square, and the field of view is not checked.",
        "A head of unknown size may appear larger or smaller than the networks learnt.",
        "DICOM PS3.3 10.7.1.3 (required for CT)",
    ),
    Rule(
        "no_orientation",
        "warn",
        "ImageOrientationPatient is missing: slices are read as axial, rows to the left, columns to the back.",
        "Without it, a coronal, mirrored or transposed slice cannot be recognised.",
        "DICOM PS3.3 C.7.6.2.1.1 (required for CT)",
    ),
    Rule(
        "part_missing",
        "warn",
        "The {where} slice is still full of brain: part of the head seems to be missing.",
        "A haemorrhage outside the slices sent cannot be found; a report without a finding holds for these slices.",
    ),
    Rule(
        "wide_gap",
        "warn",
        "{gap:.1f} mm lie between two neighbouring slices: slices seem to be missing.",
        "Head CT is read at 5 mm or less; a small haemorrhage fits between slices more than 12 mm apart.",
    ),
    Rule(
        "uneven_spacing",
        "warn",
        "The distance between slices varies from {low:.2f} to {high:.2f} mm.",
        "Many scanners take the skull base finer than the vertex, so this is no refusal.",
        "DICOM PS3.3 C.7.6.2.1.1 (ImagePositionPatient)",
    ),
    Rule(
        "spacing_not_learnt",
        "warn",
        "The slices are {spacing:.2f} mm apart; the networks learnt from {low:g} to {high:g} mm.",
        "Thinner slices are noisier and thicker slices blur more, so scores drift outside the learnt spacings.",
        "the bundle's card (`spacing_mm`); the median step between distinct positions decides",
    ),
    Rule(
        "averaged",
        "note",
        "{slices} slices {spacing:.2f} mm apart were averaged along z; slabs of about {slab:g} mm: {slabs}.",
        "Each slice reports the scores and the picture of its slab. No slab spans a gap between slices.",
        "the bundle's card (`slab_mm`)",
    ),
    Rule(
        "duplicate_positions",
        "warn",
        "{slices} slices share their position with another slice.",
        "Copies of one file count once; different files at one position count each.",
        "DICOM PS3.3 C.7.6.2.1.1 (ImagePositionPatient)",
    ),
    Rule(
        "no_position",
        "warn",
        "ImagePositionPatient {fault}; the slices are ordered by {used}.",
        "SliceLocation and InstanceNumber order slices by habit only, in either direction: the first slice may be the "
        "highest.",
        "DICOM PS3.3 C.7.6.2.1.1, C.7.6.2.1.2 (SliceLocation) and C.7.6.1 (InstanceNumber)",
    ),
    Rule(
        "few_slices",
        "note",
        "The series has only {slices} slices; a whole head has more than 12 at 10 mm.",
        "A haemorrhage outside the slices sent cannot be found. A single slice gets no note.",
    ),
    Rule(
        "metal",
        "note",
        "Metal in {slices} of the slices: its streaks may hide or mimic blood.",
        "No tissue exceeds 3000 HU, and the usual 12 bits end at 3071.",
    ),
    Rule(
        "intercept_repaired",
        "note",
        "12-bit pixels with a wrong RescaleIntercept were repaired.",
        "Values that had lost 1000 and wrapped around at 4096 are restored; otherwise air would be as bright as bone.",
        "files of the RSNA 2019 haemorrhage data",
    ),
    Rule(
        "resampled",
        "note",
        "The slices are {rows} x {columns} pixels{pixels} and were resampled to 512 x 512.",
        "The networks take one size, with square pixels; resampling softens the picture.",
    ),
    Rule(
        "no_blood_map",
        "note",
        "The report has no blood map: {why}.",
        "A CNN need not give one, and a map of very many slices would fill the memory. The probabilities are the same.",
        "the bundle's card (`blood_grid`)",
    ),
    Rule(
        "duplicate_file",
        "note",
        "{file} is a copy of {first}; it counts once.",
        "The files are equal byte for byte and share one SOPInstanceUID. Different files with one SOPInstanceUID are "
        "refused, because neither can be trusted.",
        "DICOM PS3.3 C.12.1 (SOP Common)",
    ),
    Rule(
        "file_set_aside",
        "note",
        "{file}: {why}; it was not assessed.",
        "Studies hold localizers, dose reports and DICOMDIR files beside their slices.",
        "DICOM PS3.3 C.8.2.1.1.1 (ImageType), PS3.10 8.6 (DICOMDIR)",
    ),
    Rule(
        "frames_set_aside",
        "note",
        "{file}: frames {frames} ({why}) were not assessed.",
        "An Enhanced CT object may hold localizers and reformatted planes beside its axial frames.",
        "DICOM PS3.3 C.7.6.16.2.4 (Plane Orientation), C.8.15.3.1 (FrameType)",
    ),
)
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.code: rule for rule in _RULES})
