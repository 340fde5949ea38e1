"""Plain data sets are read as pydicom reads them; all others are left to it."""

from random import Random

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from services.preprocess.dataset_reader import BoundedReader, pydicom_silenced, read_by_pydicom, read_plain_until_pixels
from tests.preprocess.dicom_files import ct, enhanced, without_preamble, written

EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
DAMAGE = (
    *(b"\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0", b"\xfe\xff\x00\xe0", b"\xe0\x7f\x10\x00", b"\0\0\0\0"),
    *(b"\x08\x00\x05\x00", b"UN\0\0", b"SQ\0\0", b"zz\0\0", b"\xff", b"US", b""),
)


def data_set(syntax: str, *, frames: int = 0) -> bytes:
    file = without_preamble(
        written(enhanced(frames), syntax) if frames else ct(syntax, SpecificCharacterSet="ISO_IR 100")
    )
    return file[: file.index(b"\xe0\x7f\x10\x00") + 40]


def damaged(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data))
    cut = random.choice((len(data), len(data), at))
    patch = random.choice(DAMAGE)
    return (data[:at] + patch + data[at + random.choice((0, len(patch), 2)) :])[:cut]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_an_undamaged_file_is_plain(syntax: str) -> None:
    file = BoundedReader(memoryview(data_set(syntax)))
    assert read_plain_until_pixels(file, syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("frames", [0, 2])
def test_agrees_with_pydicom_on_damaged_files(syntax: str, frames: int) -> None:
    """The same elements, place of the pixels and number of reads."""
    random = Random(7)  # noqa: S311 - the same damage in each run
    whole, compared = data_set(syntax, frames=frames), 0
    for _ in range(400):
        data = memoryview(damaged(whole, random))
        ours, theirs = (BoundedReader(data, max_reads=random.choice((30, 500))) for _ in range(2))
        theirs.reads_left = ours.reads_left
        if found := read_plain_until_pixels(ours, syntax):
            with pydicom_silenced():
                dataset, pixels = read_by_pydicom(theirs, syntax)
            assert (dict(found[0]._dict), found[1]) == (dict(dataset._dict), pixels)
            assert found[0].original_character_set == dataset.original_character_set
            assert (ours.reads_left, ours.tell()) == (theirs.reads_left, theirs.tell())
            compared += 1
    assert compared > 20 or frames


@pytest.mark.parametrize(("vr", "is_plain"), [(b"CS", True), (b"FL", False)])
def test_a_character_set_of_another_vr_is_left_to_pydicom(vr: bytes, is_plain: bool) -> None:  # noqa: FBT001
    data = b"\x08\x00\x05\x00" + vr + b"\x0a\x00ISO_IR 100" + data_set(EXPLICIT)
    assert bool(read_plain_until_pixels(BoundedReader(memoryview(data)), EXPLICIT)) == is_plain
