"""Errors of reading a file. None carries text from the file, which could be about the patient.

UnreadableFile     no image can be made of the file; `code` is one of acceptance's SET_ASIDE_FILES or UNUSABLE_FILES,
                   `tag` the keyword of the unreadable tag, `uids` the StudyInstanceUID and SeriesInstanceUID
IncompleteHeader   the bytes at hand end before the header does: send the whole file
"""

from services.common.file_codes import SET_ASIDE_FILES, UNUSABLE_FILES


class UnreadableFile(Exception):
    def __init__(self, code: str, tag: str | None = None) -> None:
        if code not in SET_ASIDE_FILES and code not in UNUSABLE_FILES:
            raise ValueError(f"{code} is not a code of services.common.acceptance")
        super().__init__(code)
        self.code = code
        self.tag = tag
        self.uids: tuple[str, str] | None = None


class IncompleteHeader(Exception):
    pass
