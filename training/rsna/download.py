"""Downloads the challenge's archive with Kaggle's program; needs a token, and acceptance of the terms."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from training.io.errors import TrainingError
from training.rsna.archive import ROOT, open_archive

_TERMS: Final = f"https://www.kaggle.com/competitions/{ROOT}/rules"

Run = Callable[[Sequence[str]], int]


def download(
    out: Path,
    environment: Mapping[str, str] = os.environ,
    run: Run = subprocess.call,
    *,
    zip_bytes: int = 180_000_000_000,
) -> Path:
    """Download the archive into a folder and return its path. A complete archive in the folder stays.

    Kaggle's program shows its own progress.

    Parameters
    ----------
    environment : gives PATH and the token
    run : starts a program and returns its exit status
    zip_bytes : approximate size of the archive

    Raises
    ------
    TrainingError
        Kaggle's program, its token or disk space is missing, the program failed, or the archive is truncated
    """
    found = out / f"{ROOT}.zip"
    if _is_whole(found):
        return found
    program = shutil.which("kaggle", path=environment.get("PATH"))
    if program is None:
        raise TrainingError("Kaggle's program is missing: `pip install kaggle` installs it.")
    if not _has_token(environment):
        raise TrainingError(
            "Kaggle's token is missing: create one at https://www.kaggle.com/settings and put it into "
            "KAGGLE_API_TOKEN or, the older kind, ~/.kaggle/kaggle.json."
        )
    out.mkdir(parents=True, exist_ok=True)
    _check_room(out, found, zip_bytes)
    if run([program, "competitions", "download", "-c", ROOT, "-p", str(out)]):
        raise TrainingError(
            f"Kaggle's program failed. After status 403, accept the terms of the data first: {_TERMS}. "
            "Run this command again to resume the download."
        )
    open_archive(found)
    return found


def _is_whole(archive: Path) -> bool:
    try:
        open_archive(archive)
    except TrainingError:
        return False
    return True


def _has_token(environment: Mapping[str, str]) -> bool:
    """Return whether Kaggle's program will find a token; its content is not read."""
    given = environment.get("KAGGLE_API_TOKEN") or (
        environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY")
    )
    home = Path(environment.get("HOME", "~")).expanduser()
    folders = (Path(environment.get("KAGGLE_CONFIG_DIR", home / ".kaggle")), home / ".config" / "kaggle")
    names = ("kaggle.json", "access_token", "credentials.json")  # one for each way to log in
    return bool(given) or any((folder / name).is_file() for folder in folders for name in names)


def _check_room(out: Path, found: Path, zip_bytes: int) -> None:
    held = found.stat().st_size if found.is_file() else 0
    free = shutil.disk_usage(out).free
    if free + held < zip_bytes:
        raise TrainingError(
            f"{out} has {free / 1e9:.0f} GB of free space; the archive needs about {zip_bytes / 1e9:.0f} GB."
        )
