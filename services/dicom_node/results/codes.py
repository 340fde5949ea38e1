"""Coded concepts of result objects.

Sources: SCT is SNOMED CT, DCM the DICOM controlled terminology (PS3.16 annex D), LN is LOINC, RADELEMENT the common
data elements of RSNA and ACR (radelement.org), UMLS and UCUM as PS3.16 uses them. A clinician must confirm the choice
of codes before clinical use.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydicom.sr.coding import Code

from services.common.labels import Label

FINDINGS: Final[Mapping[Label, Code]] = MappingProxyType(
    {
        "any": Code("1386000", "SCT", "Intracranial hemorrhage"),
        "epidural": Code("82999001", "SCT", "Epidural intracranial hemorrhage"),
        "intraparenchymal": Code("274100004", "SCT", "Cerebral hemorrhage"),
        "intraventricular": Code("23276006", "SCT", "Intraventricular hemorrhage"),
        "subarachnoid": Code("21454007", "SCT", "Subarachnoid intracranial hemorrhage"),
        "subdural": Code("35486000", "SCT", "Subdural intracranial hemorrhage"),
    }
)
COMMON_DATA_ELEMENTS: Final[Mapping[Label, Code]] = MappingProxyType(
    {
        "any": Code("RDES194", "RADELEMENT", "Intracranial hemorrhage"),
        "epidural": Code("RDES89", "RADELEMENT", "Epidural hemorrhage"),
        "subarachnoid": Code("RDES91", "RADELEMENT", "Subarachnoid hemorrhage"),
        "subdural": Code("RDES128", "RADELEMENT", "Subdural hemorrhage"),
    }
)
PRESENT: Final = Code("52101004", "SCT", "Present")
ABSENT: Final = Code("272519000", "SCT", "Absent")
PROBABILITY: Final = Code("122157", "DCM", "Probability")
"""Not (111047, DCM), which is the probability of cancer."""
NO_UNITS: Final = Code("1", "UCUM", "no units")
PROCEDURE_REPORTED: Final = Code("25045-6", "LN", "CT unspecified body region")
"""Of CID 100, from which TID 1500 takes the reported procedure; (24725-4, LN) is not in it."""
HEAD_CT: Final = Code("24725-4", "LN", "CT Head")
"""In FHIR only."""
OF_INTEREST: Final = Code("113000", "DCM", "Of Interest")
"""Of CID 7010, titles of key object selections."""
MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
