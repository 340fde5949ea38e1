"""Why an opinion is not stored."""

from services.common.problems import NotFound, Problem


class NoPrediction(Problem):
    status = 409
    code = "no_prediction"
    title = "There is no prediction to judge"


class NoSuchSlice(NotFound):
    code = "no_such_slice"
    title = "The report has no such slice"


class TooMuchFeedback(Problem):
    status = 409
    code = "too_much_feedback"
    title = "The job has no room for more feedback"
