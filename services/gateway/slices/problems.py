"""Why a slice has no picture.

SliceUnavailable      503   preprocess cannot render now
NotFound
|- NoPicture          404   the series has no slice of this index
|- NoHounsfieldUnits  404   the slice is an uploaded PNG, which has windows only
|- NoSourceFiles      404   the files were removed
|- UnreadableSlice    404   a file cannot be decoded; it is named
|- AmbiguousSlice     404   the headers do not identify the files
"""

from services.common.problems import NotFound, Problem
from services.gateway.uploads.upload_problems import RefusedFile


class NoPicture(NotFound):
    code = "no_picture"
    title = "This slice has no picture"


class NoHounsfieldUnits(NotFound):
    code = "no_hounsfield_units"
    title = "This slice has no Hounsfield units"


class NoSourceFiles(NotFound):
    code = "no_files"
    title = "The files of this job were removed"


class UnreadableSlice(NotFound):
    """`files`: the file, with the code and reason of the fault."""

    code = "unreadable_slice"
    title = "This slice cannot be decoded"


class AmbiguousSlice(NotFound):
    code = "ambiguous_slice"
    title = "The file of this slice is not certain"


class SliceUnavailable(Problem):
    """`cause`: the code of the stage's fault."""

    status = 503
    code = "slice_unavailable"
    title = "The slice cannot be rendered now"
    retry_after_s = 10


def no_files() -> NoSourceFiles:
    """Files are removed when a job is cancelled, and by the retention of files."""
    return NoSourceFiles(
        "the uploaded files of this job were removed, when it was cancelled or by the site's retention of files; the "
        "reports remain, and pictures need the files in a new job"
    )


def unreadable(refused: RefusedFile) -> UnreadableSlice:
    """For a file that cannot be decoded."""
    return UnreadableSlice(f"{refused.file}: {refused.reason}", files=[refused._asdict()])
