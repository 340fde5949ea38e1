"""Valid files of every kind that is read, and of some that are refused, as seeds for damage."""

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGExtended12Bit, JPEGLSLossless

from services.common.numpy_tensors import array_tensor
from services.common.recipe import DEFAULT_RECIPE
from services.common.tensors import Message, Tensor, encode
from services.preprocess.png import encode as encode_png
from services.preprocess.windowing import apply_windows
from tests.preprocess.dicom_files import (
    COMPRESSED,
    NATIVE,
    ct,
    dataset,
    deflated,
    encapsulated,
    enhanced,
    head_hu,
    nested,
    without_preamble,
    written,
)
from tests.preprocess.gdcm_files import EIGHT_BITS, gdcm_ct
from tests.preprocess.imagecodecs_files import TWELVE_BITS, imagecodecs_ct
from tests.preprocess.infer_requests import files_tensor, frames_tensor
from tests.preprocess.test_dicom_file import HIGH_THROUGHPUT, codestream
from tests.scans import zipped


@cache
def seeds() -> dict[str, tuple[bytes, ...]]:
    """Files by kind."""
    return {
        "DICOM, native": _native(),
        "DICOM, compressed": _compressed(),
        "DICOM, JPEG": _jpegs(),
        "PNG": _pictures(),
        "zip": _archives(),
        "wire": _requests(),
    }


def _native() -> tuple[bytes, ...]:
    bare = without_preamble(written(dataset(), NATIVE[0]))
    plain = [ct(syntax) for syntax in NATIVE]
    return (*plain, bare, written(enhanced(2)), nested(3), deflated())


def _compressed() -> tuple[bytes, ...]:
    frames = [
        encapsulated(enhanced(2), syntax, [codestream(syntax)] * 2) for syntax in (JPEG2000Lossless, JPEGLSLossless)
    ]
    high_throughput = encapsulated(dataset(Rows=16, Columns=16), HTJ2KLossless, [HIGH_THROUGHPUT])
    return (*map(ct, COMPRESSED), *frames, high_throughput)


def _jpegs() -> tuple[bytes, ...]:
    twelve_bits = imagecodecs_ct(dataset(), JPEGExtended12Bit, TWELVE_BITS)
    return (*map(gdcm_ct, ("JPEGLosslessProcess14", *EIGHT_BITS)), twelve_bits)


def _pictures() -> tuple[bytes, ...]:
    shown = apply_windows(head_hu(512, 512), DEFAULT_RECIPE)
    others = [_saved(Image.fromarray(shown).convert(mode)) for mode in ("L", "P", "RGBA", "I;16")]
    animated = BytesIO()
    first = Image.fromarray(shown)
    first.save(animated, "PNG", save_all=True, append_images=[first.rotate(9)])
    flat = _saved(Image.fromarray(np.full((512, 512, 3), 40, np.uint8)))
    return (*[encode_png(shown)] * 6, flat, *others, animated.getvalue())


def _saved(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _archives() -> tuple[bytes, ...]:
    study = zipped({"study/1.dcm": ct(), "study/ä.dcm": ct(NATIVE[0]), "Thumbs.db": b"x" * 40, "empty": b""})
    return (study, zipped({"same": b"a", "Same": b"b"}), zipped({"inner.zip": study, "zeros": bytes(1 << 20)}))


def _requests() -> tuple[bytes, ...]:
    """Request bodies, each after the length of its JSON header in four bytes."""
    files, frames = files_tensor([ct(), ct(COMPRESSED[0])]), frames_tensor((1, 0), (0, 0))
    found = []
    for tensors in ((files, frames), (files,), _partial_file()):
        header, _ = encode(Message(tensors, {"pictures": True}), "inputs")
        found.append(len(header).to_bytes(4) + header + b"".join(tensor.buffer for tensor in tensors))
    return tuple(found)


def _partial_file() -> tuple[Tensor, ...]:
    """The last of two frames, without the first."""
    file, frame_bytes = written(enhanced(2)), len(dataset().PixelData)
    sent = files_tensor([file[: -2 * frame_bytes] + file[-frame_bytes:]])
    sizes, pixels_from = np.array([len(file)]), np.array([len(file) - frame_bytes])
    return sent, array_tensor("sizes", sizes), array_tensor("pixels_from", pixels_from), frames_tensor((0, 1))
