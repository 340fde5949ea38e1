"""Where the weights of a CNN begin: fresh, ImageNet's, a file's, or those of a bundle that was made before."""

from pathlib import Path

from training.io.checkpoints import restore
from training.io.errors import TrainingError
from training.io.files import file_hash
from training.networks.backbones import load_lite0
from training.networks.classifier import BRAINS, LITE0, backbone_of, builder_of
from training.networks.cnn import Cnn
from training.networks.imagenet import PACKAGE
from training.options.cnn import CnnPlan
from training.train.bundle_weights import begin_from


def begin(cnn: Cnn, plan: CnnPlan) -> None:
    """Give the network the weights that `plan.init` names.

    Raises
    ------
    TrainingError
        they can't be had, or are another network's
    """
    if plan.init is None:
        return
    if plan.init == "wheel":
        _from_wheel(cnn, plan)
    elif plan.init == "imagenet":
        _from_keras(cnn, plan)
    elif Path(plan.init).is_dir():
        begin_from(Path(plan.init), cnn)
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
        raise TrainingError(f"The wheel {PACKAGE} has the weights of {LITE0} only, not of {plan.backbone}.")
    try:
        load_lite0(cnn.trunk)
    except FileNotFoundError as error:
        raise TrainingError(f"{error}.") from None


def _from_keras(cnn: Cnn, plan: CnnPlan) -> None:
    if plan.backbone in BRAINS or plan.backbone == LITE0:
        raise TrainingError(f'Keras has no weights of {plan.backbone}; init="wheel" begins from those of PyPI.')
    backbone = backbone_of(cnn)
    builder = builder_of(plan.backbone)
    try:
        given = builder(weights="imagenet", include_top=False, input_shape=backbone.input_shape[1:])
    except Exception as error:  # noqa: BLE001 - Keras raises a bare Exception where a download fails
        raise TrainingError(
            f"ImageNet's weights of {plan.backbone} can't be downloaded ({_short(error)}): fetch Keras' file of them "
            "where there is a connection, and give its path as init."
        ) from None
    backbone.set_weights(given.get_weights())


def _from_file(cnn: Cnn, plan: CnnPlan, path: Path) -> None:
    if not path.is_file():
        raise TrainingError(
            f"There are no weights at {path}: init is None, imagenet, wheel, a file or a bundle's folder."
        )
    if path.suffix == ".npz":
        restore(path, [*cnn.trunk.variables, *cnn.last.variables])
        return
    layer = cnn.trunk if plan.backbone in BRAINS or plan.backbone == LITE0 else backbone_of(cnn)
    try:
        layer.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise TrainingError(f"{path} has no weights for {plan.backbone}: {_short(error)}.") from None


def _short(error: BaseException) -> str:
    return str(error).split("\n")[0].rstrip(". ")[:200]
