"""Where the weights of a CNN begin: fresh, ImageNet's, a file's, or those of a bundle that was made before."""

from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from services.common.card import BundleError, open_bundle
from training.backbones import load_lite0
from training.checkpoint import assign, restore
from training.cnn import Cnn
from training.failures import CannotGoOn
from training.imagenet import PACKAGE
from training.learn.classifier import BRAINS, LITE0, backbone_of, builder_of
from training.learn.plan import CnnPlan, file_hash

WEIGHTS: Final = "weights/{}/.ATTRIBUTES/VARIABLE_VALUE"  # how a SavedModel of `training.export` names its variables


def begin(cnn: Cnn, plan: CnnPlan) -> None:
    """Give the network the weights that `plan.init` names.

    Raises
    ------
    CannotGoOn
        they can't be had, or are another network's
    """
    if plan.init is None:
        return
    if plan.init == "wheel":
        _from_wheel(cnn, plan)
    elif plan.init == "imagenet":
        _from_keras(cnn, plan)
    elif Path(plan.init).is_dir():
        _from_bundle(cnn, Path(plan.init))
    else:
        _from_file(cnn, plan, Path(plan.init))


def source_hash(plan: CnnPlan) -> str:
    """What `init` stands for now: the hash of a file or a bundle's card, else its name."""
    path = Path(plan.init or "")
    card = path / "card.json"
    if plan.init and (path.is_file() or card.is_file()):
        return file_hash(path if path.is_file() else card)
    return plan.init or "fresh"


def _from_wheel(cnn: Cnn, plan: CnnPlan) -> None:
    if plan.backbone not in (LITE0, "brain-lite0"):
        raise CannotGoOn(f"The wheel {PACKAGE} has the weights of {LITE0} only, not of {plan.backbone}.")
    try:
        load_lite0(cnn.trunk)
    except FileNotFoundError as error:
        raise CannotGoOn(f"{error}.") from None


def _from_keras(cnn: Cnn, plan: CnnPlan) -> None:
    if plan.backbone in BRAINS or plan.backbone == LITE0:
        raise CannotGoOn(f'Keras has no weights of {plan.backbone}; init="wheel" begins from those of PyPI.')
    backbone = backbone_of(cnn)
    builder = builder_of(plan.backbone)
    try:
        given = builder(weights="imagenet", include_top=False, input_shape=backbone.input_shape[1:])
    except Exception as error:  # noqa: BLE001 - Keras raises a bare Exception where a download fails
        raise CannotGoOn(
            f"ImageNet's weights of {plan.backbone} can't be downloaded ({_short(error)}): fetch Keras' file of them "
            "where there is a connection, and give its path as init."
        ) from None
    backbone.set_weights(given.get_weights())


def _from_file(cnn: Cnn, plan: CnnPlan, path: Path) -> None:
    if not path.is_file():
        raise CannotGoOn(f"There are no weights at {path}: init is None, imagenet, wheel, a file or a bundle's folder.")
    if path.suffix == ".npz":
        restore(path, [*cnn.trunk.variables, *cnn.last.variables])
        return
    layer = cnn.trunk if plan.backbone in BRAINS or plan.backbone == LITE0 else backbone_of(cnn)
    try:
        layer.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise CannotGoOn(f"{path} has no weights for {plan.backbone}: {_short(error)}.") from None


def _from_bundle(cnn: Cnn, folder: Path) -> None:
    try:
        bundle = open_bundle(folder)
    except BundleError as error:
        raise CannotGoOn(f"{error}.") from None
    reader = tf.train.load_checkpoint(str(bundle.saved_model("cnn") / "variables" / "variables"))
    # What dropout draws from is a variable, too, and a number; a network without dropout has none.
    variables = [variable for variable in cnn.trunk.variables if "float" in variable.dtype]
    count = sum(name.startswith("weights/") for name in reader.get_variable_to_shape_map())
    values: list[Any] = [reader.get_tensor(WEIGHTS.format(number)) for number in range(count)]
    assign(variables, [value for value in values if value.dtype.kind == "f"], str(folder))


def _short(error: BaseException) -> str:
    return str(error).split("\n")[0].rstrip(". ")[:200]
