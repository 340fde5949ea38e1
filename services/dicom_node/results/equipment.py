"""The equipment modules of result objects: this software, at this node (PS3.3 C.7.5.1, C.7.5.2)."""

from pydicom import Dataset

from services.common.version import VERSION
from services.dicom_node.results.context import ResultContext
from services.dicom_node.software import MANUFACTURER, SOFTWARE


def set_equipment(context: ResultContext, dataset: Dataset) -> None:
    """State the maker, by which the node recognizes its own objects and never scores them."""
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = SOFTWARE
    dataset.SoftwareVersions = VERSION
    dataset.DeviceSerialNumber = context.device_serial_number
