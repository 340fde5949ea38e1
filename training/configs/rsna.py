"""Our best recipe for one large GPU in a day.

    python -m training whole ARCHIVE --config rsna

Hours: three epochs of EfficientNetV2-M at 512 pixels in bfloat16; 674 on two CPU cores, projected by the step `cnn`,
which prints the projection for every device. Never measured on a GPU. Expected log loss on the held-out fold: .045 to
.055, as single networks with a sequence stage had in the challenge (.0437 to .0461); never measured here, since the
data are not here.
"""

from training.configs.config import CardText, Config
from training.configs.terms import RSNA_LICENCE, RSNA_LIMITS, RSNA_TERMS
from training.networks.classifier import ClassifierShape
from training.networks.rnn import RnnShape
from training.options.cnn import CnnOptions
from training.options.rnn import RnnOptions

CONFIG = Config(
    card=CardText(
        name="rsna",
        description="EfficientNetV2-M and three bidirectional GRUs with positions, learnt from RSNA 2019.",
        licence=RSNA_LICENCE,
        data_terms=RSNA_TERMS,
        limits_of_use=RSNA_LIMITS,
        command="python -m training whole ARCHIVE --config rsna",
    ),
    cnn_shape=ClassifierShape(backbone="efficientnetv2m", side=512, dropout=0.2),
    cnn=CnnOptions(
        init="imagenet",
        epochs=3,
        batch=48,
        rate=3e-4,
        decay=1e-2,
        warm_up=0.05,
        ema=0.9995,
        precision="mixed_bfloat16",
        validations_an_epoch=8,
        readers=14,
    ),
    rnn_shape=RnnShape(width=256, state=256),
    rnn=RnnOptions(steps=20_000, batch=32, longest=48, rate=1e-3, series_weight=0.25, bag_weight=0.1, members=3),
)
