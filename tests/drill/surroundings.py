"""The surroundings of the product that a drill changes: the wall clock, and receivers of webhooks."""

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.drill.bundle import copied_bundle
from tests.receiver import Receiver, receiving
from tests.slow_receiver import drip, serving

_CLOCK: Final = Path(__file__).parent / "shifted_clock"


@dataclass(frozen=True)
class Surroundings:
    """The surroundings of one product, in a folder.

    bundle : settings of the served bundle
    slow : address of a receiver that sends its headers byte by byte
    """

    folder: Path
    bundle: dict[str, str]
    slow: str
    receiver: Receiver

    @property
    def settings(self) -> dict[str, str]:
        """Settings of all processes."""
        return {
            "PYTHONPATH": str(_CLOCK),
            "DRILL_CLOCK_SHIFT": str(self.folder / "clock"),
            **self.bundle,
            "ICH_GATEWAY_WEBHOOKS_ALLOWED": json.dumps([self.slow, self.receiver.url]),
            "ICH_GATEWAY_WEBHOOK_SECRET_FILE": str(self.folder / "secret"),
        }

    def set_clock(self, shift_s: float) -> None:
        """Let the product's wall clock jump, to this many seconds ahead."""
        part = self.folder / "clock.part"
        part.write_text(str(shift_s))
        part.replace(self.folder / "clock")


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Make them, and remove them at the end."""
    with tempfile.TemporaryDirectory(prefix="ich-drill-") as name, receiving() as receiver, serving(drip) as slow:
        folder = Path(name)
        (folder / "secret").write_text(f"whsec_{base64.b64encode(os.urandom(32)).decode()}")
        yield Surroundings(folder, copied_bundle(), slow, receiver)
