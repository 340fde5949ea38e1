"""Secondary captures: each key slice with its heat map, or the result in words where there is no key slice.

They are single-frame RGB, uncompressed: every viewer shows these. Without a key slice, one capture states the result:
a viewer that shows no SR would otherwise show nothing, as if the series had never been processed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.frame_groups import referenced_series, source_image
from services.dicom_node.results.image_modules import finish_image
from services.dicom_node.results.object_frame import created_at
from services.dicom_node.results.picture_content import describe_key_slice, describe_result
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.results.result_picture import RESEARCH_USE, draw_result
from services.dicom_node.results.source_planes import SourcePlane, read_source_planes


def build_secondary_captures(context: ResultContext) -> Sequence[ResultObject]:
    """One capture for each key slice; one with the result in words where there is none."""
    shown = [index for index in context.report.key_slices if index in context.key_images]
    if not shown:
        return [_capture(context, draw_result(describe_result(context)), 1, None)]
    planes = {plane.index: plane for plane in read_source_planes(context, shown)}
    pictures = (
        draw_result(describe_key_slice(context, planes[index], number, len(shown)))
        for number, index in enumerate(shown, 1)
    )
    return [
        _capture(context, picture, number, planes[index])
        for number, (index, picture) in enumerate(zip(shown, pictures, strict=True), 1)
    ]


def _capture(
    context: ResultContext, picture: NDArray[np.uint8], number: int, plane: SourcePlane | None
) -> ResultObject:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.Modality, dataset.ConversionType = SecondaryCaptureImageStorage, "OT", "WSD"
    _set_pixels(dataset, picture)
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.BurnedInAnnotation, dataset.RecognizableVisualFeatures = "YES", "NO"
    dataset.ImageComments, dataset.DerivationDescription = RESEARCH_USE, "Key slice with heat map and probabilities"
    dataset.PatientOrientation = None
    created = created_at(context)
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = f"{created:%Y%m%d}", f"{created:%H%M%S}"
    if plane is not None:
        dataset.SourceImageSequence = [source_image(plane)]
        dataset.ReferencedSeriesSequence = [referenced_series(context.header.SeriesInstanceUID, [plane])]
    return finish_image(context, "secondary_capture", dataset, number)


def _set_pixels(dataset: Dataset, picture: NDArray[np.uint8]) -> None:
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = picture.tobytes()
