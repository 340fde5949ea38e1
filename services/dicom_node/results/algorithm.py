"""The identification of the algorithm in result objects."""

from highdicom import AlgorithmIdentificationSequence
from pydicom.sr.codedict import codes

from services.common.version import VERSION
from services.dicom_node.results.context import ResultContext
from services.dicom_node.software import SOFTWARE


def algorithm_identification(context: ResultContext) -> AlgorithmIdentificationSequence:
    """The bundle by its name and the SHA-256 of its card, at the software's version (PS3.3 table 10-19)."""
    model = context.report.model
    return AlgorithmIdentificationSequence(
        name=model.name,
        family=codes.DCM.ArtificialIntelligence,
        version=context.report.version or VERSION,
        source=SOFTWARE,
        parameters={"bundle_sha256": model.sha256, "recipe": model.recipe},
    )
