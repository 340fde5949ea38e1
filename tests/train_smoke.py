"""Training from nothing to a served bundle, once in one go and once killed again and again: both end alike.

    python -m tests.train_smoke FOLDER

Makes a small archive of phantoms, goes the whole way from it, asks the services' own code for an answer by the new
bundle, and then goes the whole way again, killed (SIGKILL) when each step has begun and once in the middle of an epoch.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from training.evaluate.bundle_on_phantoms import predict_real

ROOT = Path(__file__).resolve().parent.parent
STUDIES = 36
ALIKE = 1e-3  # of two log losses
LATEST_S = 1200.0
# Several threads add up in an order of their own each time; one thread, without oneDNN, nearly always in the same one.
ONE_ORDER = {
    **os.environ,
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
# What stands on the disk when a step has begun, or an epoch is half over.
BORDERS = (
    ("index", "data/index.parquet"),
    ("folds", "data/folds.parquet"),
    ("shards", "data/shards/folds.parquet"),
    ("cnn", "run/steps/cnn.json"),
    ("the middle of an epoch", "run/cnn.npz"),
    ("features", "run/steps/features.json"),
    ("rnn", "run/steps/rnn.json"),
    ("calibrate", "run/steps/calibrate.json"),
    ("evaluate", "run/steps/evaluate.json"),
    ("submit", "run/steps/submit.json"),
    ("export", "run/steps/export.json"),
)


def main(folder: Path) -> None:
    """Do all of it; ends with 1 where something does not hold."""
    start, archive = time.monotonic(), folder / "phantoms.zip"
    folder.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        _run(["phantoms", "--studies", str(STUDIES), "--out", str(archive), "--traps"])
    _run(_whole(archive, folder / "straight"))
    _say(f"from nothing to a verified bundle in {time.monotonic() - start:.0f} s")
    _say(served(folder / "straight" / "run" / "bundle"))
    _say(f"killed {_killed_on_the_way(archive, folder / 'killed')} times and started again")
    losses = [_losses(folder / name / "run") for name in ("straight", "killed")]
    _say(f"log losses of CNN, validation and held-out fold: {losses[0]} in one go, {losses[1]} with kills")
    apart = max(abs(one - two) for one, two in zip(*losses, strict=True))
    if not apart <= ALIKE:
        sys.exit(f"They differ by {apart:g}, more than {ALIKE:g}.")
    _say(f"alike to {apart:.1e}, all in {time.monotonic() - start:.0f} s")


def served(bundle: Path) -> str:
    """What the services' own networks say of the sample series by that bundle."""
    (said,) = predict_real(bundle, ROOT / "samples" / "series")
    return f"the services answer by it: {said['slices']} slices, any {said['series']['any']}"


def _killed_on_the_way(archive: Path, folder: Path) -> int:
    kills = 0
    for name, path in BORDERS:
        process = subprocess.Popen(
            _command(_whole(archive, folder)), cwd=ROOT, env=ONE_ORDER, stderr=subprocess.DEVNULL
        )
        began = time.monotonic()
        while not (folder / path).exists() and process.poll() is None and time.monotonic() - began < LATEST_S:
            time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
            _say(f"killed at {name}")
        if process.wait() not in (0, -signal.SIGKILL):
            sys.exit(f"Ended by itself before {name}, with {process.returncode}.")
    _run(_whole(archive, folder))
    return kills


def _whole(archive: Path, folder: Path) -> list[str]:
    run = ["--config", "smoke", "--run", str(folder / "run"), "--save-s", "1"]
    return ["whole", str(archive), "--data", str(folder / "data"), *run]


def _losses(run: Path) -> list[float]:
    stamps = [json.loads((run / "steps" / f"{step}.json").read_text()) for step in ("cnn", "calibrate", "evaluate")]
    return [stamp["figures"]["log_loss"] for stamp in stamps]


def _run(arguments: list[str]) -> None:
    subprocess.run(_command(arguments), cwd=ROOT, env=ONE_ORDER, check=True)


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "training", *arguments]


def _say(words: str) -> None:
    print(f"train-smoke: {words}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
