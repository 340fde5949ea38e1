"""The disclaimer of every report and page."""

from typing import Final

DISCLAIMER: Final = (
    "Research software, not a medical device. It has not been evaluated for clinical use and must not be used for "
    "diagnosis, triage or treatment."
)
