"""Files as they were sent: their headers, and their pixels ready to be decoded."""

from collections.abc import Callable, Sequence

from services.common.deadline import current_deadline
from services.common.tensors import Buffer
from services.preprocess import png
from services.preprocess.dataset_reader import ReadBudget, pydicom_silenced
from services.preprocess.dicom_file import DicomFile, PartialFile, open_dicom
from services.preprocess.encapsulated_pixel_data import frame_places
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.header import DicomHeader
from services.preprocess.series import PngEntry

Source = DicomFile | Buffer | UnreadableFile
ReadHeader = Callable[..., DicomHeader]  # as `read_header`
Entry = DicomHeader | PngEntry | UnreadableFile | IncompleteHeader


def read_entries(heads: Sequence[Buffer], sizes: Sequence[int], read: ReadHeader) -> list[Entry]:
    """The header of each file, or the reason why it has none, within one budget.

    Parameters
    ----------
    heads : the first bytes of each file, or all of them
    sizes : bytes of each whole file
    """
    budget = ReadBudget(len(heads))
    with pydicom_silenced():  # once for all files
        return [_entry(head, size, budget, read) for head, size in zip(heads, sizes, strict=True)]


def _entry(head: Buffer, size: int, budget: ReadBudget, read: ReadHeader) -> Entry:
    current_deadline().check()
    try:
        if not png.is_png(head):
            return read(head, size, budget)
        png.check_header(head)
    except (UnreadableFile, IncompleteHeader) as error:
        return error
    return PngEntry()


def places_of_frames(head: Buffer, size: int, entry: Entry) -> tuple[int, ...]:
    """The places of a whole file's compressed frames; nothing for any other file."""
    if not isinstance(entry, DicomHeader) or entry.native or entry.number_of_frames == 1 or len(head) < size:
        return ()
    return frame_places(memoryview(head), entry.pixel_data.start, entry.transfer_syntax, entry.number_of_frames)


def open_source(file: Buffer, partial: PartialFile | None, read: ReadHeader) -> Source:
    """A DICOM file with its header read once for all frames, the bytes of a PNG, or the error."""
    try:
        return file if png.is_png(file) else open_dicom(file, partial, read)
    except UnreadableFile as error:
        return error
    except IncompleteHeader:
        return UnreadableFile("truncated")
