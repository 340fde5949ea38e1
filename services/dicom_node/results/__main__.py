"""`python -m services.dicom_node.results FOLDER`: the child process that builds the objects of one assessment.

Its memory is limited. It writes `objects/` in one step; where that exists, nothing is built again. Standard error
gets no patient data: warnings of pydicom and highdicom, which quote values, are off.
"""

import argparse
import logging
import os
import resource
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.common.private_folder import restrict_umask
from services.dicom_node.assessment_folder import AssessmentFolder


def main(arguments: Sequence[str]) -> int:
    """Build the objects of the assessment in a folder; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.dicom_node.results", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the assessment")
    folder = AssessmentFolder(parser.parse_args(arguments).folder.resolve())
    if folder.index_file.is_file():
        return 0
    _limit_memory(folder.read_context().settings.memory_bytes)
    return _build(folder)


def _limit_memory(size: int) -> None:
    with suppress(ValueError):  # unsupported on some systems, or the limit is lower already
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _build(folder: AssessmentFolder) -> int:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread takes 64 MB or more of the address space
    warnings.simplefilter("ignore")
    logging.disable()
    from services.dicom_node.results.build_folder import ReportNotBuilt, build_folder  # noqa: PLC0415 - after the limits

    try:
        build_folder(folder)
    except ReportNotBuilt as error:
        print(f"the SR was not built: {error}", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - a traceback could hold patient data
        print(f"{type(error).__name__} in {_place(error)}", file=sys.stderr)
        return 1
    return 0


def _place(error: BaseException) -> str:
    """File and line of the innermost frame, which hold no data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


if __name__ == "__main__":
    restrict_umask()
    sys.exit(main(sys.argv[1:]))
