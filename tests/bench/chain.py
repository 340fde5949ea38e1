"""A study of 34 slices by the product, by one Python process with the same networks, and by an earlier release."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np

from services.common.engines import Engine
from tests.bench import earlier
from tests.bench.costs import energy_uj
from tests.bench.figures import Figure, Note, measured, median_ratio
from tests.bench.plan import Plan, engine_of, engines, product, study
from tests.bench.ways import Way, by_one_process, by_product, in_turns

_SLICES: Final = 34
_TOLERANCE: Final = 1e-4  # of a probability
_OF_ONE_PROCESS: Final = 1.10
_OF_EARLIER: Final = 0.55
_PREPROCESS_OF_EARLIER: Final = 0.65


def measure(plan: Plan) -> Iterator[Figure | Note]:
    """Measure the engine that the product chooses against both, then each other engine against one process."""
    files = study(_SLICES)
    with tempfile.TemporaryDirectory() as folder:
        paths = _written(Path(folder), files)
        with product() as service:
            chosen = engine_of(service)
            yield from _default(plan, by_product(f"default ({chosen})", service, files), chosen, files, paths)
        for engine in plan.choose([other for other in engines() if other != chosen], []):
            with product({"ICH_CNN_ENGINE": engine, "ICH_RNN_ENGINE": engine}) as service:
                yield from _named(plan, by_product(engine, service, files), engine, paths)
    if energy_uj() is None:
        yield Note("Energy was not measured: no RAPL counter is readable on this machine.")


def _written(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def _default(
    plan: Plan, ours: Way, engine: Engine, files: Mapping[str, bytes], paths: Sequence[Path]
) -> Iterator[Figure | Note]:
    with ExitStack() as stack:
        script = stack.enter_context(by_one_process(engine, paths))
        before = None
        if earlier.available():
            before = by_product(earlier.NAME, stack.enter_context(earlier.earlier_product()), files)
        in_turns([way for way in (ours, script, before) if way], plan.choose(15, 1))
    yield from _against(ours, script, _OF_ONE_PROCESS)
    yield from _alone(script)
    if before is None:
        yield Note(f"This clone lacks {earlier.NAME}: fetch the whole history to compare with it.")
        return
    yield from _against(ours, before, _OF_EARLIER)
    yield from _alone(before)
    yield from _programs(ours, before)


def _named(plan: Plan, ours: Way, engine: Engine, paths: Sequence[Path]) -> Iterator[Figure]:
    with by_one_process(engine, paths) as script:
        in_turns([ours, script], plan.choose(8, 1))
    yield from _against(ours, script, _OF_ONE_PROCESS)
    yield from _alone(script)


def _against(ours: Way, other: Way, bound: float) -> Iterator[Figure]:
    name = f"{ours.name}, of {other.name}"
    pairs = {
        "wall time": ("ms", ours.wall_ms, other.wall_ms),
        "processor time": ("core-ms", ours.core_ms, other.core_ms),
    }
    for kind, (unit, mine, theirs) in pairs.items():
        ratio = median_ratio(zip(mine, theirs, strict=True))
        yield measured(f"{name}: {kind}", unit, mine, ratio=ratio, bound=bound)
    if ours.energy_j:
        ratio = median_ratio(zip(ours.energy_j, other.energy_j, strict=True))
        yield measured(f"{name}: energy", "J", ours.energy_j, ratio=ratio)
    apart = float(np.abs(ours.answer - other.answer).max()) / _TOLERANCE
    yield Figure(f"{name}: largest difference of a probability", apart, "1e-4", bound=1)
    assert apart <= 1, f"the answers of {ours.name} and {other.name} differ: all figures are void"


def _alone(way: Way) -> Iterator[Figure]:
    yield measured(f"{way.name}: wall time", "ms", way.wall_ms)
    yield measured(f"{way.name}: processor time", "core-ms", way.core_ms)


def _programs(ours: Way, before: Way) -> Iterator[Figure]:
    """Processor time by program, of the earlier release's where it had the program."""
    for name, mine in ours.programs.items():
        theirs = before.programs.get(name)
        ratio = sum(mine) / sum(theirs) if theirs and sum(theirs) else None
        bound = _PREPROCESS_OF_EARLIER if name == "preprocess" else None
        yield measured(
            f"{ours.name}: {name}, processor time, of {before.name}", "core-ms", mine, ratio=ratio, bound=bound
        )
    for name, theirs in before.programs.items():
        yield measured(f"{before.name}: {name}, processor time", "core-ms", theirs)
