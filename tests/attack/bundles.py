"""Attacks on a bundle's folder: a service that starts with the bundle must refuse it.

The product of the time before signatures knows no `ICH_RNN_BUNDLE_KEYS`; there the service starts without it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.attack.attack import Attack, Outcome, Target
from tests.running import ROOT

_CREATE: Final = "from services.rnn.app import create; create()"
_GRAPH: Final = Path("rnn", "1", "saved_model.pb")
_TIMEOUT_S: Final = 60


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def _new_key(folder: Path, name: str) -> Path:
    """A private key; its public key lies beside it as `.pub`."""
    key = folder / name
    _openssl("genpkey", "-algorithm", "ed25519", "-out", key)
    _openssl("pkey", "-in", key, "-pubout", "-out", key.with_suffix(".pub"))
    key.chmod(0o600)
    return key


def _sign(bundle: Path, key: Path) -> None:
    command = [sys.executable, "-m", "training", "sign", str(bundle), "--key", str(key)]
    subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=_TIMEOUT_S)


def _alter_graph_and_card(bundle: Path) -> None:
    """Change the graph's file, and state its new hash in the card, as somebody who can write to the folder would."""
    with (bundle / _GRAPH).open("ab") as graph:
        graph.write(b"\xfa\x3f\x00")  # an empty field that the protocol buffer does not know
    card = json.loads((bundle / "card.json").read_text())
    card["files"][_GRAPH.as_posix()] = sha256((bundle / _GRAPH).read_bytes()).hexdigest()
    (bundle / "card.json").write_text(json.dumps(card, indent=2))


def _altered(bundle: Path, keys: Path) -> None:
    _sign(bundle, keys / "site.pem")
    _alter_graph_and_card(bundle)


def _foreign(bundle: Path, keys: Path) -> None:
    _alter_graph_and_card(bundle)
    _sign(bundle, _new_key(keys, "foreign.pem"))


def _link(bundle: Path, keys: Path) -> None:
    _sign(bundle, keys / "site.pem")
    shutil.move(bundle / _GRAPH, keys / "graph")
    (bundle / _GRAPH).symlink_to(keys / "graph")


def _start(bundle: Path, keys: Path, reason: str) -> Outcome:
    """Start rnn with a bundle; held where the service refuses it by name, for this reason."""
    environment = {**os.environ, "ICH_RNN_BUNDLE": str(bundle), "ICH_RNN_BUNDLE_KEYS": str(keys / "site.pub")}
    done = _create(environment)
    if "unknown settings: ICH_RNN_BUNDLE_KEYS" in done.stderr:
        del environment["ICH_RNN_BUNDLE_KEYS"]
        done = _create(environment)
    if done.returncode == 0:
        return Outcome("served", held=False)
    held = f"the bundle is refused: {bundle}: " in done.stderr and reason in done.stderr
    return Outcome(f"refused, status {done.returncode}", held=held)


def _create(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _CREATE]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )


def _attack(prepare: Callable[[Path, Path], None], reason: str) -> Callable[[Target], Outcome]:
    def run(_: Target) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            bundle, keys = Path(folder, "bundle"), Path(folder, "keys")
            keys.mkdir()
            shutil.copytree(ROOT / "models" / "default", bundle)
            _new_key(keys, "site.pem")
            prepare(bundle, keys)
            return _start(bundle, keys, reason)

    return run


_LIMIT: Final = "rnn refuses to start"
ATTACKS: Final = (
    Attack("bundle: graph and card altered after signing", _LIMIT, _attack(_altered, "is not the one that key")),
    Attack("bundle: altered, and signed by a foreign key", _LIMIT, _attack(_foreign, "is not trusted")),
    Attack("bundle: a symbolic link in place of a graph", _LIMIT, _attack(_link, "is a symbolic link")),
)
