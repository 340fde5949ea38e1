"""Random uploads with the expected outcome of each part that has data."""

import gzip
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from hypothesis import strategies as st

from tests.gateway.uploads.test_archive_formats import tarred
from tests.scans import ct_slice, head, zipped

CONTENT_TYPE: Final = {"content-type": "multipart/form-data; boundary=b"}
_SLICES: Final = [ct_slice(index, head(64), PixelSpacing=[4, 4]) for index in range(48)]
_LOCALIZER: Final = ct_slice(hu=head(64), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SOPInstanceUID="2.25.99")
_IN_ZIP: Final = zipped({"in.zip": zipped({"deep.zip": zipped({"a.dcm": _SLICES[0]})})})

# Each kind of file: end of the name, content, expected outcome.
_FILES: Final = {
    "slice": (".dcm", b"", "slices"),
    "notes": (".txt", b"notes", "aside"),
    "localizer": (".dcm", _LOCALIZER, "aside"),
    "system": (".dcm", b"\0\5\26\7\0\2\0\0", "aside"),
    "empty system": ("", b"", "aside"),
    "empty": (".dcm", b"", "corrupt"),
    "cut": (".dcm", _SLICES[0][:-100], "cut"),
    "gzip": (".dcm", gzip.compress(_SLICES[0]), "archives"),
    "tar": (".txt", tarred({"a.dcm": _SLICES[0]}), "archives"),
    "damaged": (".zip", zipped({"a.dcm": _SLICES[0]})[:-30], "archives"),
}
_USUAL: Final = ("slice", "slice", "notes", "localizer", "system", "empty system")
_UNUSUAL: Final = ((), (), (), ("empty", "cut"), ("gzip", "tar", "damaged"))
_NAMELESS: Final = ("slice", "notes", "localizer", "cut", "gzip", "tar")


@dataclass(frozen=True)
class SentFile:
    """A file; `fate` names the set of Upload that it belongs to."""

    name: str
    data: bytes
    fate: str
    kind: str


@dataclass
class Upload:
    """A multipart body, and the names of its files by their expected outcome.

    slices : assessed
    aside : set aside with a note, or left out of a job
    corrupt : refused with 422 in a prediction; left out of a job, since their series is unknown
    cut : refused with 422 in a prediction; fail their series in a job
    hollow : zips without files, set aside beside other files
    archives, parts : refused with the whole request, by content or by form
    """

    body: bytes = b""
    slices: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)
    corrupt: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    archives: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    hollow: set[str] = field(default_factory=set)

    def add(self, header: str, data: bytes) -> None:
        """Append a part."""
        self.body += f"--b\r\nContent-Disposition: form-data; {header}\r\n\r\n".encode() + data + b"\r\n"

    def expect(self, file: SentFile, place: str = "") -> None:
        """`place` is the sent zip; only the name of a refused archive includes it."""
        getattr(self, file.fate).add(f"{place}{file.name}" if file.fate == "archives" else file.name)


@st.composite
def uploads(draw: st.DrawFn) -> Upload:
    """Slices of one series and other files, sent directly, in zips, and in zips in zips."""
    upload = Upload()
    kinds = st.sampled_from(_USUAL + draw(st.sampled_from(_UNUSUAL)))
    odd = draw(st.sampled_from(((), (), ("field", "base64", "deep"))))
    ways = st.sampled_from(("file", "file", "zip", "zip in zip", "nothing", *odd))
    for number in range(1, draw(st.integers(1, 7)) + 1):
        _add(draw, upload, number, draw(ways), kinds)
    upload.body += b"--b--\r\n"
    if upload.slices | upload.aside | upload.corrupt | upload.cut:
        upload.aside |= upload.hollow
    return upload


def _add(draw: st.DrawFn, upload: Upload, number: int, way: str, kinds: st.SearchStrategy[str]) -> None:
    place = f'name="files"; filename="{number}.zip"'
    if way == "file":
        _add_file(draw, upload, number, _file(draw, f"{number}", kinds))
    elif way == "nothing":
        upload.add(draw(st.sampled_from(('name="files"; filename=""', 'name="files"', 'name="note"'))), b"")
    elif way == "field":
        upload.add('name="note"', b"value")
        upload.parts.add(f"part {number}")
    elif way == "base64":
        upload.add(f'name="files"; filename="{number}.dcm"\r\nContent-Transfer-Encoding: base64', b"AAAA")
        upload.parts.add(f"{number}.dcm")
    elif way == "deep":
        upload.add(place, _IN_ZIP)
        upload.archives.add(f"{number}.zip/in.zip/deep.zip")
    else:
        upload.add(place, _zip(draw, upload, number, kinds, inner=way == "zip in zip"))


def _add_file(draw: st.DrawFn, upload: Upload, number: int, file: SentFile) -> None:
    spellings = [f'; filename="{file.name}"', f"; filename*=utf-8''{quote(file.name)}"]
    if nameless := file.kind in _NAMELESS and draw(st.booleans()):
        spellings = ["", '; filename=""']
        file = replace(file, name=f"part {number}")
    form_field = "files" if nameless else draw(st.sampled_from(("files", "scan")))
    upload.add(f'name="{form_field}"{draw(st.sampled_from(spellings))}', file.data)
    upload.expect(file)


def _zip(draw: st.DrawFn, upload: Upload, number: int, kinds: st.SearchStrategy[str], *, inner: bool) -> bytes:
    entries = [("HEAD/", b""), ("HEAD\\", b"")][: draw(st.integers(0, 2))]
    files = [_file(draw, f"{number}-{index}", kinds) for index in range(draw(st.integers(0, 3)))]
    for file in files:
        entries.append((file.name, file.data))
        upload.expect(replace(file, name=f"in-{number}.zip/{file.name}") if inner else file, f"{number}.zip/")
    if not files:
        upload.hollow.add(f"in-{number}.zip" if inner else f"{number}.zip")
    return zipped([(f"in-{number}.zip", zipped(entries))] if inner else entries)


def _file(draw: st.DrawFn, stem: str, kinds: st.SearchStrategy[str]) -> SentFile:
    kind = draw(kinds)
    end, data, fate = _FILES[kind]
    system = "system" in kind or (kind == "slice" and draw(st.booleans()))
    name = f"{'._' if system else ''}{stem} ä{end}"
    number, _, index = stem.partition("-")
    content = _SLICES[int(number) * 4 + int(index or 3)] if kind == "slice" else data
    return SentFile(draw(st.sampled_from(("", "HEAD/", "HEAD\\"))) + name, content, fate, kind)
