"""Follows the lines of audit files: each line's hash, the chain of every process, and the published heads."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.gateway.audit.chain import NO_HASH, Line, Link, read_line

_TIME: Final = re.compile("[0-9T:.-]{1,30}Z")  # nothing else of a file that may be forged is printed
_BEGINS: Final = ("start", "rotate")  # actions of the first line of a file


@dataclass(frozen=True, slots=True)
class Finding:
    """A break of a chain, or a note that is none."""

    place: str
    text: str
    is_break: bool = True

    def __str__(self) -> str:
        return f"{'BROKEN' if self.is_break else 'note':7} {self.place}: {self.text}"


@dataclass(slots=True)
class ChainSummary:
    """The lines of one process."""

    chain: str
    first: int
    first_time: str
    last: int = 0
    last_time: str = ""
    last_action: str = ""
    breaks: int = 0

    def __str__(self) -> str:
        state = "BROKEN" if self.breaks else "whole"
        end = "" if self.last_action == "stop" else "; no stop line: killed, cut, or still running"
        times = f"{self.first_time} to {self.last_time}"
        return f"{state:7} chain {self.chain}: lines {self.first} to {self.last}, {times}{end}"


@dataclass(slots=True)
class Verification:
    """The chains and findings of files in the order of their lines."""

    heads: Sequence[Link] = ()
    key: bytes | None = None
    chains: dict[str, ChainSummary] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _rotated: bool = True
    """Whether each log begins behind a rotation, which explains that older lines are missing."""
    _before: Line | None = None
    _torn: str | None = None
    """The place of an incomplete line, until the next line explains it."""

    @property
    def is_whole(self) -> bool:
        """Whether no chain is broken."""
        return not any(finding.is_break for finding in self.findings)

    def read(self, lines: Iterable[tuple[str, bytes]]) -> None:
        """Read the lines of one audit log with their places, the oldest first."""
        self._before, self._torn = None, None
        published = {(head.chain, head.sequence): head.hash for head in self.heads}
        for place, raw in lines:
            line = read_line(raw.removesuffix(b"\n"), self.key) if raw.endswith(b"\n") else None
            if line:
                self._follow(place, line)
                self._compare(place, line, published)
            elif raw != b"\n":  # an empty line ends an incomplete one
                self._incomplete(place)
        self._end()

    def _end(self) -> None:
        if self._torn:
            self._break(
                self._torn, "the line is incomplete: the process was killed while it wrote, or the file was cut"
            )

    def _incomplete(self, place: str) -> None:
        if self._torn:
            self._break(self._torn, "this is no audit line: it was damaged or inserted")
        self._torn = place

    def _follow(self, place: str, line: Line) -> None:
        explained = self._explain_torn(line)
        self._summary(place, line)
        if not line.own_hash:
            self._break(place, "the line was changed (its hash is another one), or the key is another one", line)
        elif (fault := self._fault(place, line)) and explained:
            self._break(place, fault, line)
        self._before = line

    def _compare(self, place: str, line: Line, published: Mapping[tuple[str, int], str]) -> None:
        if published.get((line.link.chain, line.link.sequence)) not in (None, line.link.hash):
            self._break(place, "the line differs from its published head: the chain was written anew", line)

    def _explain_torn(self, line: Line) -> bool:
        """Report an incomplete line before this one; False where its break explains a gap."""
        if self._torn is None:
            return True
        place, self._torn = self._torn, None
        if line.fields.get("action") == "start" and line.fields.get("torn") is True:
            self._note(place, "the line is incomplete: the process was killed while it wrote; the next start says so")
            return True
        self._break(place, "this is no audit line: it was damaged or inserted")
        return False

    def _fault(self, place: str, line: Line) -> str | None:
        before = self._before
        if before is None:
            return self._fault_of_first(place, line)
        if line.link.chain != before.link.chain:
            return _fault_of_new_chain(line, before)
        return _fault_in_chain(line, before)

    def _fault_of_first(self, place: str, line: Line) -> str | None:
        if line.fields.get("action") not in _BEGINS:
            return "the beginning of the file was removed"
        if _follows_rotation(line):
            self._note(place, "lines before this one are in older files, which are not given here")
            return None
        self._rotated = False
        if line.link.sequence > 0 or line.previous != NO_HASH:
            return "lines before this start were removed: no rotation explains that they are missing"
        return None

    def _summary(self, place: str, line: Line) -> None:
        link, fields = line.link, line.fields
        time = fields.get("time")
        time = time if isinstance(time, str) and _TIME.fullmatch(time) else "?"
        summary = self.chains.setdefault(link.chain, ChainSummary(link.chain, link.sequence, time))
        summary.last, summary.last_time, summary.last_action = link.sequence, time, str(fields.get("action"))
        if summary.last_action == "lost":
            lines = fields.get("lines")
            self._note(place, f"{lines if type(lines) is int else '?'} lines could not be written before this one")

    def compare_ends(self) -> None:
        """Compare the ends of the chains with the heads, after all files: a head beyond an end shows a cut tail.

        Heads are in the order in which they were published, so a missing chain is older than the files where its heads
        come before all heads of their chains. Rotation may have removed it where every log begins behind a rotation.
        """
        began = not self._rotated or not any(head.chain in self.chains for head in self.heads)
        for head in {head.chain: head for head in self.heads}.values():
            summary = self.chains.get(head.chain)
            began = began or summary is not None
            if summary is None and began:
                self._break(head.chain, f"the chain is missing: a head names its line {head.sequence}")
            elif summary and head.sequence > summary.last:
                summary.breaks += 1
                text = f"a head names line {head.sequence}, but the last one is {summary.last}"
                self._break(head.chain, f"the tail was cut: {text}")

    def _break(self, place: str, text: str, line: Line | None = None) -> None:
        self.findings.append(Finding(place, text))
        if line:
            self.chains[line.link.chain].breaks += 1

    def _note(self, place: str, text: str) -> None:
        self.findings.append(Finding(place, text, is_break=False))


def _follows_rotation(line: Line) -> bool:
    """Whether the first line of a file says so; `start` does after a kill between rotation and its first line."""
    action, fields = line.fields.get("action"), line.fields
    return action == "rotate" or (action == "start" and fields.get("after_rotation") is True)


def _fault_in_chain(line: Line, before: Line) -> str | None:
    number, last = line.link.sequence, before.link.sequence
    if number > last + 1:
        return f"{number - last - 1} lines before this one were removed"
    if number <= last:
        return f"line {number} comes after line {last}: reordered, repeated or inserted"
    if line.previous != before.link.hash:
        return "the line before this one was replaced"
    if line.fields.get("action") == "reopen":
        return "the file was removed or replaced while the process wrote to it"
    return None


def _fault_of_new_chain(line: Line, before: Line) -> str | None:
    if line.link.sequence > 0:
        return f"the first {line.link.sequence} lines of this chain were removed"
    if line.previous != before.link.hash:
        return "lines before this start were removed, replaced or inserted"
    return None
