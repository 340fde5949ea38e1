"""The settings of a site in an archive: variables `ICH_*`, the files that they name, and further files.

settings/environment.json    name and value of each variable
settings/named/<VARIABLE>    the file that a variable names: API keys, secrets, severities
settings/files/...           files and folders that the caller lists, such as the `/site` of Compose
settings/addenda/...         evaluations that the site attached to its bundle
"""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from services.common.bundle_files import ADDENDA_NAME
from services.common.private_folder import open_private
from services.gateway.backup.errors import BackupError, DamagedArchive
from services.gateway.backup.snapshot import files_of

ENVIRONMENT: Final = "environment.json"
SHELL: Final = "environment.sh"
_BUNDLE: Final = "ICH_RNN_BUNDLE"
_DEFAULT_BUNDLE: Final = "models/default"
_NAMED: Final = "named"
_FILES: Final = "files"
_NAME: Final = re.compile(r"ICH_[A-Z0-9_]+")
_INPUTS: Final = ("_FILE", "_KEYS")
_OUTPUTS: Final = ("ICH_GATEWAY_AUDIT_FILE",)
_CLIENT_KEY: Final = "ICH_KEY"  # of a sender's own commands


def site_variables(process_file: Path | None) -> dict[str, str]:
    """The variables `ICH_*` of the running process whose id is in a file, or else of this process."""
    found: Mapping[str, str] = os.environ
    if process_file and (running := _environment_of(process_file)) is not None:
        found = running
    return {name: value for name, value in sorted(found.items()) if _NAME.fullmatch(name) and name != _CLIENT_KEY}


def _environment_of(process_file: Path) -> dict[str, str] | None:
    """The environment with which a process was started; None where it does not run."""
    try:
        content = Path(f"/proc/{int(process_file.read_text())}/environ").read_bytes()
    except (OSError, ValueError):
        return None
    pairs = (os.fsdecode(line).partition("=") for line in content.split(b"\0") if line)
    return {name: value for name, _, value in pairs}


def settings_members(
    variables: Mapping[str, str], files: Sequence[Path], bundle: Path | None = None
) -> Iterator[tuple[str, Path | bytes]]:
    """Name below `settings/` and content of each member.

    Parameters
    ----------
    bundle
        folder of the served bundle, whose addenda are members; None takes that of the variables

    Raises
    ------
    BackupError
        a file that a variable names, or a listed one, is missing or unreadable
    """
    yield ENVIRONMENT, json.dumps(dict(variables), indent=1).encode()
    for name, value in variables.items():
        if path := _named_file(name, value):
            yield f"{_NAMED}/{name}", path
    addenda = (bundle or Path(variables.get(_BUNDLE, _DEFAULT_BUNDLE))) / ADDENDA_NAME
    yield from ((f"{ADDENDA_NAME}/{path.name}", _readable(path)) for path in files_of(addenda))
    for path in files:
        yield from ((f"{_FILES}/{name}", file) for name, file in _listed(path))


def _named_file(name: str, value: str) -> Path | None:
    """The file that a variable names. Other variables hold folders, addresses and numbers, or files to write."""
    if not name.endswith(_INPUTS) or name in _OUTPUTS:
        return None
    path = Path(value)
    if not path.is_file():
        raise BackupError(f"{name} names {value}, which is no file: correct it, or unset it")
    return _readable(path)


def _listed(path: Path) -> Iterator[tuple[str, Path]]:
    """The file, or all files below the folder, by their names from the folder's own name on."""
    if not path.exists():
        raise BackupError(f"{path} does not exist: correct --settings")
    folder = path.resolve()
    found = [folder] if folder.is_file() else files_of(folder)
    yield from ((str(file.relative_to(folder.parent)), _readable(file)) for file in found)


def _readable(path: Path) -> Path:
    if not os.access(path, os.R_OK):
        raise BackupError(
            f"{path} cannot be read by uid {os.geteuid()}: let it read the file, or back up as another user"
        )
    return path


def write_shell_environment(settings: Path, place: Path) -> None:
    """Write `environment.sh` beside restored settings: it exports the variables.

    Parameters
    ----------
    settings
        folder with the members below `settings/`
    place
        where that folder will be; named files are named there

    Raises
    ------
    DamagedArchive
        a name is none of a setting: a shell would run it
    """
    try:
        variables = TypeAdapter(dict[str, str]).validate_json((settings / ENVIRONMENT).read_bytes())
    except (OSError, ValidationError) as error:
        raise DamagedArchive(f"{ENVIRONMENT} of the archive is missing or of another form: use another one") from error
    if strange := [name for name in variables if not _NAME.fullmatch(name)]:
        raise DamagedArchive(f"{ENVIRONMENT} of the archive names {strange[0]!r}, which is no setting: use another one")
    for name in variables:
        if (settings / _NAMED / name).is_file():
            variables[name] = str(place.resolve() / _NAMED / name)
    with open(settings / SHELL, "x", opener=open_private) as file:
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
