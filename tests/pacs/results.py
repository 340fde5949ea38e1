"""Result objects in a PACS, found by QIDO-RS and fetched by WADO-RS."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import httpx
from pydicom import Dataset, dcmread

from services.dicom_node.kinds import Kind

SOP_CLASSES: Final[Mapping[str, Kind]] = {
    "1.2.840.10008.5.1.4.1.1.88.34": "sr",
    "1.2.840.10008.5.1.4.1.1.88.11": "text_sr",
    "1.2.840.10008.5.1.4.1.1.7": "secondary_capture",
    "1.2.840.10008.5.1.4.1.1.7.4": "secondary_capture",
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.88.59": "key_objects",
    "1.2.840.10008.5.1.4.1.1.30": "parametric_map",
}
_JSON: Final = {"Accept": "application/dicom+json"}
_DICOM: Final = {"Accept": 'multipart/related; type="application/dicom"'}
KINDS: Final[tuple[Kind, ...]] = ("sr", "text_sr", "secondary_capture", "segmentation", "key_objects")
# The sample series has five key slices, with a Secondary Capture each.
KINDS_OF_ASSESSED: Final[tuple[Kind, ...]] = (
    "sr",
    "text_sr",
    "segmentation",
    "key_objects",
    "secondary_capture",
    "secondary_capture",
    "secondary_capture",
    "secondary_capture",
    "secondary_capture",
)
KINDS_OF_NOT_ASSESSED: Final[tuple[Kind, ...]] = ("sr", "text_sr", "secondary_capture")


@dataclass(frozen=True)
class Pacs:
    """The DICOMweb API of a PACS."""

    url: str

    def kinds(self, study_uid: str) -> list[str]:
        """The kinds of all result objects of a study, an entry an object, sorted."""
        return sorted(kind for kind, _ in self._found(study_uid))

    def fetch(self, study_uid: str) -> list[tuple[Kind, Dataset]]:
        """All result objects of a study with their kinds."""
        return [(kind, self._retrieve(path)) for kind, path in self._found(study_uid)]

    def fetch_one(self, study_uid: str, kind: Kind) -> Dataset:
        """The only result object of a kind; ValueError where there are several or none."""
        (path,) = [path for each, path in self._found(study_uid) if each == kind]
        return self._retrieve(path)

    def _found(self, study_uid: str) -> Iterator[tuple[Kind, str]]:
        """Kind and path of each result object, by QIDO-RS."""
        answer = httpx.get(f"{self.url}/studies/{study_uid}/instances", headers=_JSON, timeout=30)
        answer.raise_for_status()
        for item in answer.json() if answer.content else ():
            series, instance, sop_class = (item[tag]["Value"][0] for tag in ("0020000E", "00080018", "00080016"))
            if kind := SOP_CLASSES.get(sop_class):
                yield kind, f"/studies/{study_uid}/series/{series}/instances/{instance}"

    def _retrieve(self, path: str) -> Dataset:
        """One object, by WADO-RS: a multipart response with one part."""
        answer = httpx.get(self.url + path, headers=_DICOM, timeout=60)
        answer.raise_for_status()
        (boundary,) = re.findall(r'boundary="?([^";]+)', answer.headers["content-type"])
        part = answer.content.split(b"--" + boundary.encode())[1]
        return dcmread(BytesIO(part.partition(b"\r\n\r\n")[2]))
