"""Codes of the labels, and the identification of the algorithm."""

from collections.abc import Mapping
from typing import Final

from highdicom import AlgorithmIdentificationSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from services.common.labels import Label
from services.common.version import VERSION
from services.dicom_node.results.context import ResultContext

FINDING_CODES: Final[Mapping[Label, Code]] = {
    "any": Code("1386000", "SCT", "Intracranial hemorrhage"),
    "epidural": Code("82999001", "SCT", "Epidural intracranial hemorrhage"),
    "intraparenchymal": Code("274100004", "SCT", "Cerebral hemorrhage"),
    "intraventricular": Code("23276006", "SCT", "Intraventricular hemorrhage"),
    "subarachnoid": Code("21454007", "SCT", "Subarachnoid intracranial hemorrhage"),
    "subdural": Code("35486000", "SCT", "Subdural intracranial hemorrhage"),
}


def algorithm_identification(context: ResultContext) -> AlgorithmIdentificationSequence:
    """The bundle by name and the SHA-256 of its card (PS3.3 table 10-19)."""
    model = context.report.model
    return AlgorithmIdentificationSequence(
        name=model.name,
        family=codes.DCM.ArtificialIntelligence,
        version=context.report.version or VERSION,
        source="ich-detect",
        parameters={"bundle_sha256": model.sha256, "recipe": model.recipe},
    )
