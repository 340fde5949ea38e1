"""Failures of stages as problems.

StageFault                    a stage gave no usable response
|- StageFailed        502     it cannot be reached, failed, or sent a malformed response
|  |- RegionUnknown           it does not know the shared memory region
|  |- RegionTooSmall          its output does not fit the region
|- RecipeMismatch     502     it refuses the recipe of the pixels
|- BundleMismatch     502     cnn and rnn serve different bundles
|- StageBusy          503     it takes no more requests now
|- StageTimeout       504     it did not answer in time
"""

from services.common.problems import Problem


class StageFault(Problem):
    pass


class StageFailed(StageFault):
    status = 502
    code = "stage_failed"
    title = "A stage failed"
    retry_after_s = 10


class RegionUnknown(StageFailed):
    """It does not know the shared memory region: it has restarted."""


class RegionTooSmall(StageFailed):
    """Its output does not fit the range that it was offered."""


class RecipeMismatch(StageFault):
    status = 502
    code = "recipe_mismatch"
    title = "preprocess and the network use different recipes"


class BundleMismatch(StageFault):
    status = 502
    code = "bundle_mismatch"
    title = "cnn and rnn serve different bundles"


class StageBusy(StageFault):
    status = 503
    code = "stage_busy"
    title = "A stage takes no more requests now"
    retry_after_s = 5


class StageTimeout(StageFault):
    status = 504
    code = "stage_slow"
    title = "A stage did not answer in time"
    retry_after_s = 30
