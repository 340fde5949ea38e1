"""The node's clock counts the time that has passed, over restarts too. A jump of the wall clock does not move it."""

from collections.abc import Callable
from typing import Final

from services.common.elapsed import Reading, elapsed_s
from services.dicom_node.registry.database import Database

_MOST_BETWEEN_BOOTS_S: Final = 86_400.0


class NodeClock:
    """Seconds since the node's first start; between two boots of its machine it counts a day at most.

    Parameters
    ----------
    read
        reads the system's clocks

    Attributes
    ----------
    rebooted : whether the machine booted since the clock was stored
    """

    def __init__(self, database: Database, read: Callable[[], Reading] = Reading.now) -> None:
        self._database = database
        self._read = read
        with database.read() as connection:
            row = connection.execute("SELECT seconds, reading FROM clock").fetchone()
        self._start = read()
        stored = Reading.parse(row["reading"]) if row else None
        self.rebooted = stored is not None and stored.boot != self._start.boot
        passed_s = elapsed_s(stored, self._start, _MOST_BETWEEN_BOOTS_S) if stored else 0.0
        self._start_s = (float(row["seconds"]) if row else 0.0) + passed_s
        self.store()

    def now_s(self) -> float:
        """The present moment."""
        return self._start_s + elapsed_s(self._start, self._read(), _MOST_BETWEEN_BOOTS_S)

    def store(self) -> None:
        """Store the present moment, so that the next start continues from it."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM clock")
            connection.execute("INSERT INTO clock VALUES (?, ?)", (self.now_s(), self._read().json()))
