"""Training of one CNN by several processes, on one host or many, by Keras' DataParallel on JAX.

Every process runs the same program with the same configuration and data, and reads its share of every batch. JAX
computes over the whole batch: mean loss, statistics of batch normalisation, and random numbers are those of one
process. Process 1 writes all files; the others take its weights, optimizer and state at the start.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import keras
import numpy as np
from numpy.typing import NDArray

from training.io.errors import TrainingError
from training.io.parts import Part

LOG = logging.getLogger(__name__)
CONNECT_S: Final = 300  # until all processes have met
HEARTBEAT_S: Final = 30  # a process that is silent for so long has ended


@dataclass(frozen=True, slots=True)
class Processes:
    """Process `own` of those that train together."""

    own: Part

    @property
    def leads(self) -> bool:
        """Whether this process writes checkpoints, weights and figures."""
        return self.own.number == 1

    @property
    def are_several(self) -> bool:
        """Whether there are others."""
        return self.own.count > 1

    def rows(self, batch: int) -> slice:
        """Return the rows of every batch that this process reads.

        Raises
        ------
        TrainingError
            the devices of all processes cannot share a batch equally
        """
        if not self.are_several:
            return slice(0, batch)
        import jax  # noqa: PLC0415 - one process needs no JAX

        devices = jax.device_count()
        if batch % devices:
            raise TrainingError(f"A batch of {batch} slices cannot be shared by {devices} devices: change --batch.")
        if devices != jax.local_device_count() * self.own.count:
            raise TrainingError(f"{devices} devices cannot be shared by {self.own.count} processes: use equal hosts.")
        size = batch // self.own.count
        return slice((self.own.number - 1) * size, self.own.number * size)

    def check_equal(self, what: str, value: str) -> None:
        """Check that all processes have the same value.

        Raises
        ------
        TrainingError
            one differs from process 1
        """
        if not self.are_several:
            return
        found = self.gather(np.array([crc32(value.encode())], np.uint32))[:, 0]
        other = [str(number) for number, one in enumerate(found, 1) if one != found[0]]
        if other:
            raise TrainingError(f"Process {' and '.join(other)} of {self.own.count} has another {what} than process 1.")

    def decided(self, decision: bool) -> bool:  # noqa: FBT001 - the decision is the value
        """Return the decision of process 1."""
        return bool(self.gather(np.array([decision], np.uint32))[0, 0]) if self.are_several else decision

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the arrays of all processes, (n, ...), which have one shape."""
        if not self.are_several:
            return values[None]
        from jax.experimental import multihost_utils  # noqa: PLC0415 - one process needs no JAX

        return np.asarray(multihost_utils.process_allgather(values))

    def from_first(
        self, values: Sequence[NDArray[Any]], numbers: Sequence[float]
    ) -> tuple[list[NDArray[Any]], list[float]]:
        """Return the arrays and numbers of process 1; those of the others have the same shapes."""
        from jax.experimental import multihost_utils  # noqa: PLC0415 - one process needs no JAX

        words = np.array(numbers, np.float64).view(np.uint32)  # JAX computes float64 as float32
        *arrays, found = multihost_utils.broadcast_one_to_all([*values, words])
        return [np.asarray(each) for each in arrays], np.asarray(found).view(np.float64).tolist()

    def share(self, entries: Sequence[Any]) -> Sequence[Any]:
        """Return the series of a validation that this process computes."""
        return self.own.of(entries)


ALONE: Final = Processes(Part(1, 1))


@contextmanager
def together(coordinator: str, own: Part) -> Iterator[Processes]:
    """Meet the other processes at `coordinator`, "host:port", the address of process 1.

    Raises
    ------
    TrainingError
        Keras runs on another backend, the processes do not meet in time, or another one has ended
    """
    if keras.backend.backend() != "jax":
        raise TrainingError(f"Keras runs on {keras.backend.backend()}; several processes need KERAS_BACKEND=jax.")
    import jax  # noqa: PLC0415 - one process needs no JAX

    # On a CPU, computations in flight would mix up their messages: each one ends before the next one begins.
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # type: ignore[no-untyped-call] # noqa: FBT003 - JAX's
    try:
        jax.distributed.initialize(
            coordinator,
            own.count,
            own.number - 1,
            initialization_timeout=CONNECT_S,
            heartbeat_timeout_seconds=HEARTBEAT_S,
            shutdown_timeout_seconds=HEARTBEAT_S,
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"Process {own} cannot meet the others at {coordinator}: {_line(error)}.") from None
    LOG.info("cnn: process %s, %d devices here, %d in all", own, jax.local_device_count(), jax.device_count())
    try:
        yield Processes(own)
    except jax.errors.JaxRuntimeError as error:
        raise TrainingError(
            f"Process {own} lost another process ({_line(error)}): start all of them again; they resume from the last "
            "checkpoint."
        ) from None


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
