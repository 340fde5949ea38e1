"""Train from a generated archive to a served bundle, without a break and with kills: both give the same metrics.

    python -m tests.train_smoke FOLDER

Makes a small archive of phantoms and runs all steps on it twice at the same time. One run has no break, and the code
of the services scores the sample series with its bundle. SIGKILL ends the other run at the start of each step and once
in the middle of an epoch.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from training.evaluate.bundle_on_phantoms import predict_real

ROOT = Path(__file__).resolve().parent.parent
STUDIES = 36
TOLERANCE = 1e-3  # between two log losses
TIMEOUT_S = 1200.0  # of one step
# The order of sums varies with several threads; with one thread and without oneDNN it is nearly always the same.
ONE_ORDER = {
    **os.environ,
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
# The path whose existence shows that a step has begun, or that an epoch is half over.
KILL_POINTS = (
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
    """Run everything; exit with 1 where a check fails."""
    start, archive = time.monotonic(), folder / "phantoms.zip"
    folder.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        _run(["phantoms", "--studies", str(STUDIES), "--out", str(archive), "--traps"])
    with ThreadPoolExecutor(1) as executor:
        straight = executor.submit(_run_straight, archive, folder / "straight")
        _log(f"killed and restarted {_run_with_kills(archive, folder / 'killed')} times")
        straight.result()
    losses = [_losses(folder / name / "run") for name in ("straight", "killed")]
    _log(f"log losses of CNN, validation and held-out fold: {losses[0]} without a break, {losses[1]} with kills")
    difference = max(abs(one - two) for one, two in zip(*losses, strict=True))
    if not difference <= TOLERANCE:
        sys.exit(f"The log losses differ by {difference:g}, more than {TOLERANCE:g}.")
    _log(f"the log losses differ by {difference:.1e}; {time.monotonic() - start:.0f} s in total")


def _run_straight(archive: Path, folder: Path) -> None:
    start = time.monotonic()
    _run(_whole(archive, folder))
    _log(f"from an archive to a verified bundle in {time.monotonic() - start:.0f} s")
    _log(served(folder / "run" / "bundle"))


def served(bundle: Path) -> str:
    """Describe the prediction of the services' code for the sample series."""
    (prediction,) = predict_real(bundle, ROOT / "samples" / "series")
    return f"the services score the sample series: {prediction['slices']} slices, any {prediction['series']['any']}"


def _run_with_kills(archive: Path, folder: Path) -> int:
    kills = 0
    for name, path in KILL_POINTS:
        process = subprocess.Popen(
            _command(_whole(archive, folder)), cwd=ROOT, env=ONE_ORDER, stderr=subprocess.DEVNULL
        )
        started = time.monotonic()
        while not (folder / path).exists() and process.poll() is None and time.monotonic() - started < TIMEOUT_S:
            time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
            _log(f"killed at {name}")
        if process.wait() not in (0, -signal.SIGKILL):
            sys.exit(f"The run ended before {name}, with exit code {process.returncode}.")
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


def _log(message: str) -> None:
    print(f"train-smoke: {message}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
