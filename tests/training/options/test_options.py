from dataclasses import FrozenInstanceError, asdict

import pytest

from training.options.augment import PhantomAugment, SliceAugment
from training.options.cnn import CnnOptions
from training.options.rnn import RnnOptions
from training.options.stream import StreamOptions


@pytest.mark.parametrize(
    "options", [CnnOptions(), RnnOptions(steps=1), StreamOptions(), PhantomAugment(), SliceAugment()]
)
def test_options_are_frozen_and_hashable(options: object) -> None:
    name = next(iter(asdict(options)))  # type: ignore[call-overload] # all are dataclasses
    with pytest.raises(FrozenInstanceError):
        setattr(options, name, 0)
    assert hash(options) == hash(options)


def test_a_cnn_trains_on_shards_without_masks_by_default() -> None:
    options = CnnOptions()
    assert options.stream is None
    assert options.blood_weight == 0
    assert isinstance(options.augment, SliceAugment)


def test_equal_options_have_one_representation() -> None:
    # The fingerprint of a finished training is made from it.
    assert repr(CnnOptions(stream=StreamOptions())) == repr(CnnOptions(stream=StreamOptions()))
    assert repr(CnnOptions(seed=1)) != repr(CnnOptions(seed=2))
