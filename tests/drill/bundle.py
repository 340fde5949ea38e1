"""The bundle that a drill serves: a copy, whose files a fault may change."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.running import ROOT, Service

_FOLDER: Final = ROOT / ".run" / "drill-bundle"
_GRAPH: Final = _FOLDER / "rnn" / "1" / "saved_model.pb"
_REFUSED: Final = f"the bundle is refused: {_FOLDER}: "
_UNKNOWN_FIELD: Final = b"\xfa\x3f\x00"  # TensorFlow would load the graph with it


def copied_bundle() -> dict[str, str]:
    """Copy the default bundle; return the settings that serve the copy."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    shutil.copytree(ROOT / "models" / "default", _FOLDER)
    return {"ICH_CNN_BUNDLE": str(_FOLDER), "ICH_RNN_BUNDLE": str(_FOLDER)}


def swap_bundle() -> None:
    """Put another bundle in place of the served one, with the same networks and the name `other`."""
    other, gone = (_FOLDER.with_name(f"drill-bundle-{name}") for name in ("other", "gone"))
    for folder in (other, gone):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_FOLDER, other)
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps({**card, "name": "other"}))
    _FOLDER.rename(gone)
    other.rename(_FOLDER)
    shutil.rmtree(gone)


@contextmanager
def altered_graph() -> Iterator[None]:
    """The graph of the RNN has other bytes than the card states, until the context ends."""
    content = _GRAPH.read_bytes()
    _GRAPH.write_bytes(content + _UNKNOWN_FIELD)
    try:
        yield
    finally:
        _GRAPH.write_bytes(content)


def wait_until_refused(service: Service, seconds: float) -> None:
    """Wait until a service has refused the bundle by name; TimeoutError otherwise."""
    deadline = time.monotonic() + seconds
    while _REFUSED not in service.log.read_text():
        if time.monotonic() > deadline:
            raise TimeoutError("no service refused the altered bundle")
        time.sleep(0.1)
