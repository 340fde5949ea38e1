"""Options of the stream of phantoms that a CNN is trained on."""

from dataclasses import dataclass

from training.phantom.study_options import RANDOM_STUDY, StudyOptions, StudyRequest


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How rounds of studies enter and leave the pool from which batches are drawn.

    A slice is seen about `batch * steps_a_round / (studies_a_round * slices_a_study)` times.
    """

    studies_a_round: int = 16
    slices_a_study: int = 8
    steps_a_round: int = 12
    rounds_kept: int = 40
    rounds_at_first: int = 10
    first_seed: int = 0
    options: StudyOptions = RANDOM_STUDY

    def rounds_by(self, step: int) -> int:
        """Return the number of rounds that have entered the pool before a step."""
        return self.rounds_at_first + step // self.steps_a_round

    def requests(self, number: int) -> list[StudyRequest]:
        """Return the studies of a round."""
        start = self.first_seed + number * self.studies_a_round
        return [StudyRequest(start + place, self.slices_a_study, self.options) for place in range(self.studies_a_round)]

    def slices_by(self, step: int) -> int:
        """Return the largest number of slices made before a step."""
        return self.rounds_by(step) * self.studies_a_round * self.slices_a_study
