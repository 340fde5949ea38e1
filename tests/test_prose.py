"""No file holds the words and names that the prose rules of CONTRIBUTING.md replace by the field's standard term."""

import re
import subprocess
from collections.abc import Iterator
from typing import Final

from tests.running import ROOT

# A regular expression of banned words, without regard to case; and their standard term.
WORDS: Final = {
    r"told": "notified, configured, informed",
    r"alike": "both, the same",
    r"whoever": "the sender, the caller",
    r"(?:goes|go|going) on": "continues, resumes",
    r"to be had": "available",
    r"of which": "a second sentence",
    r"what it is worth": "its effect",
    r"comes on": "improves",
    r"begins? anew": "restarts, is reset",
    r"stir(?:red|s)? in": "interpolate",
    r"(?:a|the) bleedings?": "a haemorrhage",
    r"an even gr[ea]y": "a uniform image",
    r"waiting calls?": "synchronous request",
    r"not this way": "method not allowed",
    r"by the same code(?! path)": "the same code path",
    r"editions?": "version",
}
# Names of classes, functions and modules of older builds, case-sensitive, with their new names.
NAMES: Final = {
    "Slots": "Limiter",
    "CannotGoOn": "TrainingError",
    "Deck": "BatchSampler",
    "Errands?|Parcels?": "Upload",
    "GivenBack": "Deferred",
    "Ground(?! truth)": "RunContext",
    "Judged": "ScoredLabels",
    r"Lanes(?=\()": "FairScheduler",
    "OtherContent": "IdempotencyConflict",
    "SeriesDoor": "SeriesModel",
    "Shelf": "Storage",
    "TooLate": "DeadlineExceeded",
    r"Wanted|Order(?=\()": "StudyRequest, StudyOptions",
    "Wishes": "JobOptions",
    "_patiently": "_with_retries",
    "kept_cases": "feature_cache",
    "jobview": "job_view",
    "OtherScanners": "ScannerAugment",
    "put_once": "create",
    "stir_in": "interpolate_weights",
    "take_in": "store_folder",
    "take_turn": "run_ticket",
    "while_wanted": "cancel_on_disconnect",
}
# History, licences, data, the name in tasks that older builds queued, and this list.
EXEMPT: Final = re.compile(
    r"CHANGELOG\.md|LICENSE|docs/adr/|docs/reference/openapi\.json|requirements/|models/.*/(cnn|rnn)/|samples/.*\.dcm"
    r"|services/gateway/jobs/ticket_call\.py|tests/gateway/jobs/test_ticket_call\.py|tests/gateway/jobs/stored/|tests/test_prose\.py|.*\.(svg|png|jpg|npz)$"
)


def texts() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every tracked file that a reader reads."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for path in listed.rstrip("\0").split("\0"):
        if not EXEMPT.match(path) and (ROOT / path).is_file():
            yield path, (ROOT / path).read_text(errors="replace")


def banned(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, word and standard term of every banned word or name; a line's end counts as a space."""
    for table, flags in ((WORDS, re.IGNORECASE), (NAMES, re.NOFLAG)):
        for word, term in table.items():
            pattern = rf"\b(?:{word})\b".replace(" ", r"\s+(?:[#*/]+\s+)?")
            for match in re.finditer(pattern, text, flags):
                yield text.count("\n", 0, match.start()) + 1, " ".join(match.group().split()), term


def test_the_check_finds_words_over_a_lines_end() -> None:
    assert list(banned("It was Told\n# that it goes\n# on.")) == [
        (1, "Told", WORDS["told"]),
        (2, "goes # on", "continues, resumes"),
    ]


def test_no_file_holds_a_banned_word() -> None:
    assert [
        f"{path}:{line}: {word!r}; write: {term}" for path, text in texts() for line, word, term in banned(text)
    ] == []
