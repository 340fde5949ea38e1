"""The challenge's archive from Kaggle, by Kaggle's own program, for those who have a token and took the terms."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from training.archive import ROOT
from training.failures import CannotGoOn

ZIP_BYTES: Final = 180_000_000_000
_TERMS: Final = f"https://www.kaggle.com/competitions/{ROOT}/rules"

Run = Callable[[Sequence[str]], int]


def download(out: Path, environment: Mapping[str, str] = os.environ, run: Run = subprocess.call) -> Path:
    """Fetch the archive into a folder; where it lies. An archive that is there and whole is not fetched again.

    Kaggle's program shows its own progress.

    Parameters
    ----------
    environment : says where programs and the token are
    run : starts a program and tells its exit status

    Raises
    ------
    CannotGoOn
        Kaggle's program, the token or the room is missing, or the program failed
    """
    found = out / f"{ROOT}.zip"
    program = shutil.which("kaggle", path=environment.get("PATH"))
    if program is None:
        raise CannotGoOn("Kaggle's program is missing: `pip install kaggle` installs it.")
    if not _has_token(environment):
        raise CannotGoOn(
            "Kaggle's token is missing: make one at https://www.kaggle.com/settings, and leave it as "
            "~/.kaggle/kaggle.json or in KAGGLE_USERNAME and KAGGLE_KEY."
        )
    out.mkdir(parents=True, exist_ok=True)
    _check_room(out, found)
    if run([program, "competitions", "download", "-c", ROOT, "-p", str(out)]):
        raise CannotGoOn(
            f"Kaggle's program failed. Where it says 403, the terms of the data are to be accepted first: {_TERMS}. "
            "What it has fetched stays; start this step again to go on."
        )
    return found


def _has_token(environment: Mapping[str, str]) -> bool:
    """Whether Kaggle's program will find one; what is in it is not looked at."""
    given = environment.get("KAGGLE_API_TOKEN") or (
        environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY")
    )
    home = Path(environment.get("HOME", "~")).expanduser()
    folders = (Path(environment.get("KAGGLE_CONFIG_DIR", home / ".kaggle")), home / ".config" / "kaggle")
    names = ("kaggle.json", "access_token")
    return bool(given) or any((folder / name).is_file() for folder in folders for name in names)


def _check_room(out: Path, found: Path) -> None:
    held = found.stat().st_size if found.is_file() else 0
    free = shutil.disk_usage(out).free
    if free + held < ZIP_BYTES:
        raise CannotGoOn(
            f"{out} has room for {free / 1e9:.0f} GB, and the archive takes about {ZIP_BYTES / 1e9:.0f} GB."
        )
