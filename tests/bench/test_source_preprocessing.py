import numpy as np

from tests.bench.source_preprocessing import picture
from tests.scans import ct_slice, head


def test_a_slice_becomes_a_picture_of_three_windows() -> None:
    made = picture(ct_slice(hu=head(256)))
    assert made.shape == (512, 512, 3)
    assert made.dtype == np.uint8
    assert (made.min(), made.max()) == (0, 255)


def test_its_window_depends_on_the_slice() -> None:
    """A fault of the source project: the same brain beside darker bone becomes brighter."""
    hu = head(512)
    darker = np.minimum(hu, 60).astype(np.int16)
    middle = (256, 256, 2)
    assert picture(ct_slice(hu=hu))[middle] < picture(ct_slice(hu=darker))[middle]
