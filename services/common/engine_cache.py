"""Measured engines of this machine, one small JSON file for each bundle's network, in the folder `engine_cache`.

A file that is missing, damaged or of another key counts as not measured. Replicas write the same file at once: each
writes a file of its own, then renames it.
"""

import hashlib
import logging
import platform
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from services.common.card import Bundle, Part
from services.common.engine_measurement import Measurement
from services.common.engines import engine_version
from services.common.openvino_model import usable_cores
from services.common.version import VERSION

log = logging.getLogger(__name__)

_CPU_INFO: Final = Path("/proc/cpuinfo")
_CPU_FIELDS: Final = ("model name", "flags", "features", "cpu implementer", "cpu part")  # x86, then ARM
_MAX_BYTES: Final = 64 * 1024


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasurementKey(_Frozen):
    """Everything that a measurement depends on.

    cpu : SHA-256 of the CPU's model and flags
    cores : usable by this process
    version : of this software, which calls the engines
    """

    part: Part
    card_sha256: str
    cpu: str
    cores: int
    tensorflow: str | None
    openvino: str | None
    version: str

    @classmethod
    def current(cls, bundle: Bundle, part: Part) -> "MeasurementKey":
        """The key of one network on this machine."""
        versions = engine_version("tensorflow"), engine_version("openvino")
        return cls(
            part=part,
            card_sha256=bundle.card_sha256,
            cpu=hashlib.sha256(_cpu().encode()).hexdigest(),
            cores=usable_cores(),
            tensorflow=versions[0],
            openvino=versions[1],
            version=VERSION,
        )

    @property
    def file_name(self) -> str:
        """The file of this key."""
        return f"{self.part}-{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]}.json"


class _Entry(_Frozen):
    key: MeasurementKey
    measurement: Measurement


def read_measurement(folder: Path, key: MeasurementKey) -> Measurement | None:
    """The stored measurement; None where it must be made."""
    try:
        with (folder / key.file_name).open("rb") as file:
            entry = _Entry.model_validate_json(file.read(_MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        log.warning("the stored measurement %s is unreadable; the engines are measured again", key.file_name)
        return None
    return entry.measurement if entry.key == key else None


def write_measurement(folder: Path, key: MeasurementKey, measurement: Measurement) -> None:
    """Store a measurement, atomically; a folder that cannot be written costs a measurement at each start."""
    entry = _Entry(key=key, measurement=measurement)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=folder, prefix=f".{key.part}-", delete=False) as file:
            file.write(entry.model_dump_json())
        Path(file.name).replace(folder / key.file_name)
    except OSError as error:
        log.warning(
            "the measurement of the engines cannot be stored (%s): make the folder of engine_cache writable",
            error.strerror,
        )


def _cpu() -> str:
    """Model and flags of the first CPU."""
    try:
        first = _CPU_INFO.read_text().split("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    lines = [line for line in first.splitlines() if line.partition(":")[0].strip().lower() in _CPU_FIELDS]
    return "\n".join([platform.machine(), *lines])
