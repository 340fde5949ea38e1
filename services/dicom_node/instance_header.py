"""The attributes of a received SOP instance that the node reads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InstanceHeader:
    """Attributes by their DICOM keywords. An absent or malformed one is None or empty.

    slice_thickness_mm : of the first frame
    image_orientation : ImageOrientationPatient of the first frame
    patient : a digest that differs between patients of a series; None where the node did not read it
    software : of this project where it made the object, from the equipment's ManufacturerModelName
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    instance_number: int | None = None
    number_of_frames: int = 1
    image_type: tuple[str, ...] = ()
    body_part_examined: str = ""
    study_description: str = ""
    series_description: str = ""
    protocol_name: str = ""
    convolution_kernel: str = ""
    slice_thickness_mm: float | None = None
    image_orientation: tuple[float, ...] | None = None
    software: str = ""
    patient: str | None = None

    @property
    def derived(self) -> bool:
        """Whether ImageType says that the pixels are computed from other images; a localizer's do not count."""
        return self.image_type[:1] == ("DERIVED",) and "LOCALIZER" not in self.image_type
