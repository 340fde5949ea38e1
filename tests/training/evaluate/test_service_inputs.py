import subprocess
import sys

import numpy as np

from training.data.pictures import picture
from training.evaluate.service_inputs import make_service_input, service_inputs
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions, StudyRequest

SEED = 9_600_000


def test_what_is_sent_is_what_preprocess_makes() -> None:
    sent = make_service_input(StudyRequest(SEED, 3, StudyOptions(())))
    study = make_study(draw_patient(SEED, StudyOptions(())), range(3))
    np.testing.assert_array_equal(sent.slices[2], picture(study.hu[2], study.scan.pixel_mm))
    assert sent.labels.shape == sent.label_mask.shape == (3, 6)


def test_studies_come_in_their_order() -> None:
    wanted = [StudyRequest(SEED + number, 1, StudyOptions(())) for number in range(5)]
    for one, sent in zip(wanted, service_inputs(wanted), strict=True):
        np.testing.assert_array_equal(sent.slices, make_service_input(one).slices)


def test_making_them_needs_no_tensorflow() -> None:
    code = "import sys, training.evaluate.service_inputs; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
