import subprocess
import sys

import numpy as np

from training.data.pictures import picture
from training.evaluate.service_inputs import make_sent, sent_in_turn
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import Order, Wanted

SEED = 9_600_000


def test_what_is_sent_is_what_preprocess_makes() -> None:
    sent = make_sent(Wanted(SEED, 3, Order(())))
    study = make_study(draw_patient(SEED, Order(())), range(3))
    np.testing.assert_array_equal(sent.slices[2], picture(study.hu[2], study.scan.pixel_mm))
    assert sent.labels.shape == sent.certain.shape == (3, 6)


def test_studies_come_in_their_order() -> None:
    wanted = [Wanted(SEED + number, 1, Order(())) for number in range(5)]
    for one, sent in zip(wanted, sent_in_turn(wanted), strict=True):
        np.testing.assert_array_equal(sent.slices, make_sent(one).slices)


def test_making_them_needs_no_tensorflow() -> None:
    code = "import sys, training.evaluate.service_inputs; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
