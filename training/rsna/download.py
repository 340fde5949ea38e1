"""The challenge's archive from Kaggle, by Kaggle's own program, for those who have a token and took the terms."""

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
    """Fetch the archive into a folder; where it lies. One that is there and not cut short is left as it is.

    Kaggle's program shows its own progress.

    Parameters
    ----------
    environment : says where programs and the token are
    run : starts a program and tells its exit status
    zip_bytes : how large the archive is, about

    Raises
    ------
    TrainingError
        Kaggle's program, the token or the room is missing, the program failed, or what it left is cut short
    """
    found = out / f"{ROOT}.zip"
    if _is_whole(found):
        return found
    program = shutil.which("kaggle", path=environment.get("PATH"))
    if program is None:
        raise TrainingError("Kaggle's program is missing: `pip install kaggle` installs it.")
    if not _has_token(environment):
        raise TrainingError(
            "Kaggle's token is missing: make one at https://www.kaggle.com/settings, and leave it in "
            "KAGGLE_API_TOKEN or, the older kind, in ~/.kaggle/kaggle.json."
        )
    out.mkdir(parents=True, exist_ok=True)
    _check_room(out, found, zip_bytes)
    if run([program, "competitions", "download", "-c", ROOT, "-p", str(out)]):
        raise TrainingError(
            f"Kaggle's program failed. Where it says 403, the terms of the data are to be accepted first: {_TERMS}. "
            "What it has fetched stays; start this step again to go on."
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
    """Whether Kaggle's program will find one; what is in it is not looked at."""
    given = environment.get("KAGGLE_API_TOKEN") or (
        environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY")
    )
    home = Path(environment.get("HOME", "~")).expanduser()
    folders = (Path(environment.get("KAGGLE_CONFIG_DIR", home / ".kaggle")), home / ".config" / "kaggle")
    names = ("kaggle.json", "access_token", "credentials.json")  # each by another way to log in
    return bool(given) or any((folder / name).is_file() for folder in folders for name in names)


def _check_room(out: Path, found: Path, zip_bytes: int) -> None:
    held = found.stat().st_size if found.is_file() else 0
    free = shutil.disk_usage(out).free
    if free + held < zip_bytes:
        raise TrainingError(
            f"{out} has room for {free / 1e9:.0f} GB, and the archive takes about {zip_bytes / 1e9:.0f} GB."
        )
