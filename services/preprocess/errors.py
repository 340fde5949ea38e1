"""How reading ends without an image. None of these carries a word of the file: it could be about the patient.

Unreadable        the file is of no use; `code` says why (FOREIGN_FILES and CORRUPT_FILES of acceptance), `tag` is the
                  keyword of the tag that cannot be read, and `uids` say which study and series lack the file
HeaderGoesOn      the bytes at hand end before the header does: send the whole file
"""

from services.common.acceptance import CORRUPT_FILES, FOREIGN_FILES


class Unreadable(Exception):
    def __init__(self, code: str, tag: str | None = None) -> None:
        if code not in FOREIGN_FILES and code not in CORRUPT_FILES:
            raise ValueError(f"{code} is not a code of services.common.acceptance")
        super().__init__(code)
        self.code = code
        self.tag = tag
        self.uids: tuple[str, str] | None = None


class HeaderGoesOn(Exception):
    pass
