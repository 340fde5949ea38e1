"""The step `features` in parts on several machines, over the shared folder of a run."""

import logging
import shutil
from collections.abc import Sequence

from training.data.feature_parts import (
    FeatureBlock,
    join_feature_blocks,
    plan_feature_blocks,
    write_feature_blocks,
)
from training.io.files import fingerprint
from training.io.parts import Part, Parts
from training.runs.context import RunContext
from training.runs.trained import trained_cnn

LOG = logging.getLogger(__name__)


def features_part(context: RunContext, part: Part) -> None:
    """Write the features of one part, and record the part in the run's folder.

    Raises
    ------
    TrainingError
        the CNN is not trained, the folder has parts of another number, or the disk is full
    """
    if context.run.is_finished("features", context.features_inputs()):
        LOG.info("features: finished with the same inputs; part %s is not needed", part)
        return
    blocks = _plan(context, part.count)
    parts, own = _parts(context, blocks), part.of(blocks)
    parts.begin(part)
    if own:
        cnn = trained_cnn(context.run, context.config)
        rate = write_feature_blocks(cnn, context.source, own, context.config.cnn.readers)
        LOG.info("features: part %s, %.1f slices/s", part, rate)
    parts.finish(part, [block.path.stem for block in own])


def join_features(context: RunContext, count: int) -> None:
    """Write the features of all series from the parts, and finish the step.

    Raises
    ------
    TrainingError
        a part is missing, damaged, or of another CNN, data, recipe or number of parts; or the disk is full
    """
    inputs, blocks = context.features_inputs(), _plan(context, max(count, 1))
    parts = _parts(context, blocks)
    if not context.run.is_finished("features", inputs):
        parts.check(count, [block.path.stem for block in blocks])
        context.run.start("features", inputs)
        join_feature_blocks(blocks, context.run.path("features.npy"))
        context.run.finish("features", parts=count)
    shutil.rmtree(parts.folder, ignore_errors=True)


def _plan(context: RunContext, count: int) -> list[FeatureBlock]:
    """Blocks in a folder that depends on the inputs, so that no block of an earlier CNN is used."""
    folder = context.run.path("features.parts") / fingerprint(_inputs(context))
    return plan_feature_blocks(context.entries, folder, count)


def _parts(context: RunContext, blocks: Sequence[FeatureBlock]) -> Parts:
    paths = {block.path.stem: [block.path] for block in blocks}
    folder = context.run.path("features.parts")
    return Parts("features", folder, _inputs(context), lambda unit: paths.get(unit, []))


def _inputs(context: RunContext) -> dict[str, str]:
    return {**context.features_inputs(), "recipe": context.source.recipe.fingerprint}
