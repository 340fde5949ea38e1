from services.common.labels import LABELS
from tests.training.small_networks import small_cnn
from training.configs.phantom_config import Amounts
from training.train.validation import watch_by


def test_a_cnn_is_watched_by_its_auc_of_every_label() -> None:
    figures = watch_by(Amounts(rnn=0, calibration=0, watch=12))(small_cnn())
    assert list(figures) == list(LABELS)
    assert 0 < figures["any"] < 1
