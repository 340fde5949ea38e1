"""The source project's recipe: ResNet-101 at 512 pixels, then two BiLSTMs and a BiGRU over windows of 19 slices.

    python -m training whole ARCHIVE --config source

Hours: 903 on two CPU cores, projected by the step `cnn`, which prints the projection for every device. Never measured
on a GPU. Expected log loss on the held-out fold: about .06, as single networks of the challenge had; never measured
here, since the data are not here.

Five errors of the source are corrected: ImageNet's weights get the levels that they expect, a series is not a patient,
folds are separate, short series are masked, and the validation fold ends the training. The source names neither its
dropout nor its batch nor its epochs; the values here are ours.
"""

from training.configs.config import CardText, Config
from training.configs.terms import RSNA_LICENCE, RSNA_LIMITS, RSNA_TERMS
from training.networks.classifier import ClassifierShape
from training.networks.source_rnn import SourceShape
from training.options.cnn import CnnOptions
from training.options.rnn import RnnOptions

CONFIG = Config(
    card=CardText(
        name="source",
        description="ResNet-101 and a stack of BiLSTM, BiLSTM and BiGRU, learnt from RSNA 2019 by the source's recipe.",
        licence=RSNA_LICENCE,
        data_terms=RSNA_TERMS,
        limits_of_use=RSNA_LIMITS,
        command="python -m training whole ARCHIVE --config source",
    ),
    cnn_shape=ClassifierShape(backbone="resnet101", side=512),
    cnn=CnnOptions(
        init="imagenet",
        epochs=5,
        batch=16,
        optimizer="adam",
        rate=1e-4,
        schedule="constant",
        ema=None,
    ),
    rnn_shape=SourceShape(lstm=(512, 512), gru=256),
    rnn=RnnOptions(steps=40_000, batch=32, rate=3e-5, series_weight=0.0, bag_weight=0.0),
)
