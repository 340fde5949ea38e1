import numpy as np
import pytest

from training.networks.loss import blood_loss, label_loss


def _cross_entropy(logit: float, label: float) -> float:
    probability = 1 / (1 + np.exp(-logit))
    return float(-(label * np.log(probability) + (1 - label) * np.log(1 - probability)))


def test_any_counts_twice() -> None:
    logits, labels = np.zeros((1, 6), np.float32), np.zeros((1, 6), bool)
    logits[0, 0] = 2
    expected = (2 * _cross_entropy(2, 0) + 5 * _cross_entropy(0, 0)) / 7
    assert float(label_loss(logits, labels, ~labels)) == pytest.approx(expected, rel=1e-5)


def test_masked_labels_do_not_count() -> None:
    logits = np.array([[3, -1, 0, 0, 0, 9]], np.float32)
    labels, mask = np.zeros((1, 6), bool), np.array([[False, True, False, False, False, False]])
    assert float(label_loss(logits, labels, mask)) == pytest.approx(_cross_entropy(-1, 0), rel=1e-5)
    assert float(label_loss(logits, labels, np.zeros((1, 6), bool))) == 0


def test_blood_counts_three_times_and_half_a_cell_is_full() -> None:
    logits = np.full((1, 32, 32, 5), 0.5, np.float32)
    empty, half, full = (np.full((1, 32, 32, 5), value, np.uint8) for value in (0, 128, 255))
    assert float(blood_loss(logits, empty)) == pytest.approx(10 * _cross_entropy(0.5, 0), rel=1e-5)
    assert float(blood_loss(logits, full)) == pytest.approx(30 * _cross_entropy(0.5, 1), rel=1e-5)
    assert float(blood_loss(logits, half)) == float(blood_loss(logits, full))
