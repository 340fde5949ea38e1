"""Rate of phantoms for the training of a CNN: `python -m tests.bench.phantoms`, with PROCESSES as its only argument.

The first line counts new slices per core-second of one process. The second line counts slices of the whole stream with
worker processes, which shows each new slice about ten times, as the configuration `LARGE` of the default bundle does.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from training.configs.default import LARGE, STREAM
from training.data.pictures import make_stream_pictures
from training.data.stream import Batch, Stream
from training.io.pool import cores

_STEPS = 50
_PLAN = replace(LARGE.cnn.stream or STREAM, rounds_at_first=2)


def main(processes: int) -> None:
    """Print both rates."""
    print(f"{_one_process():.0f} new slices per core-second")
    with Stream(_PLAN, batch=LARGE.cnn.batch, positives=0.5, seed=0, processes=processes) as stream:
        batches = stream.batches()
        next(batches)
        _print_stream(batches)


def _one_process() -> float:
    wanted = _PLAN.requests(0)
    make_stream_pictures(wanted[0])  # loads the atlas
    start = time.process_time()
    return sum(len(make_stream_pictures(one)) for one in wanted) / (time.process_time() - start)


def _print_stream(batches: Iterator[Batch]) -> None:
    start, own = time.monotonic(), time.process_time()
    slices = sum(len(small) for small, *_ in islice(batches, _STEPS))
    wall, own = time.monotonic() - start, time.process_time() - own
    new = _PLAN.slices_by(_STEPS) - _PLAN.slices_by(0)
    print(f"{slices / wall:.0f} slices/s of the stream, {new / wall:.0f} of them new; batches take {own / wall:.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else cores())
