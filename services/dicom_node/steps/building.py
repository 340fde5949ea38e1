"""The step `reported` -> `built`: a child process builds the result objects, and one transaction commits them."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from services.dicom_node.assessment_folder import (
    AssessmentContext,
    AssessmentFolder,
    ObjectIndex,
    ResultSettings,
    SliceSource,
)
from services.dicom_node.kinds import KINDS, Kind
from services.dicom_node.registry import assessments
from services.dicom_node.registry.assessments import Assessment, StoredInstance
from services.dicom_node.registry.delivery_steps import Destination
from services.dicom_node.registry.registry import Registry
from services.dicom_node.registry.result_sets import mark_built, sent_predecessor
from services.dicom_node.steps.job_outcome import FetchedReport
from services.dicom_node.steps.submitting import file_number

log = logging.getLogger(__name__)
_ROOT: Final = Path(__file__).parents[3]  # the import path of the services
_COMMAND: Final = (sys.executable, "-m", "services.dicom_node.results")


class BuildFailed(Exception):
    """No result set was built. `code` says why, without patient data."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class BuildStopped(Exception):
    """The node stops: the next start builds."""


class Builder(Protocol):
    """Builds the objects of an assessment folder."""

    def __call__(self, folder: Path) -> None:
        """Write `objects/`, unless it exists; BuildFailed where that failed."""


class ChildProcess:
    """Builds in a process of its own: one that crashes or hangs, or takes too much memory, harms no other.

    Parameters
    ----------
    command : that gets the folder as its last argument
    """

    def __init__(self, timeout_s: float, command: Sequence[str] = _COMMAND) -> None:
        self._timeout_s, self._command = timeout_s, command
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def __call__(self, folder: Path) -> None:
        """Run the process to its end; BuildFailed where that is a failure."""
        if self._stopped:
            raise BuildStopped
        command = [*self._command, str(folder.resolve())]
        process = subprocess.Popen(command, cwd=_ROOT, start_new_session=True, stdin=subprocess.DEVNULL)  # noqa: S603
        self._running.add(process)
        try:
            status = process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            raise BuildFailed("build_timeout") from None
        finally:
            _kill(process)
            self._running.discard(process)
        if status:
            raise BuildStopped if self._stopped else BuildFailed(f"build_exit_status_{status}")

    def stop(self) -> None:
        """Kill the processes in progress, and start no more."""
        self._stopped = True
        for process in tuple(self._running):
            _kill(process)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process, where it still runs."""
    process.kill()
    process.wait()


@dataclass(frozen=True, slots=True)
class Building:
    """Builds and commits the result set of an assessment. Repeating it gives the same bytes.

    kinds : that are built for each series; destinations may ask for more
    """

    registry: Registry
    builder: Builder
    destinations: Mapping[str, Destination]
    kinds: Sequence[Kind]
    memory_bytes: int
    first_series_number: int = 9001

    def build(self, assessment: Assessment) -> ObjectIndex:
        """Build the objects, where that was not done before, and insert them with their deliveries.

        Raises
        ------
        BuildFailed
            the SR could not be built
        PredecessorChanged
            an SR was sent meanwhile that the built one should name: build again
        """
        folder = AssessmentFolder.of(self.registry.folder.path, assessment.id)
        context = self._context(assessment, folder)
        self._prepare(folder, context)
        self.builder(folder.path)
        index = folder.read_index()
        if not any(one.kind == "sr" for one in index.objects):
            raise BuildFailed("no_sr")
        relative = str(folder.objects.relative_to(self.registry.folder.path))
        with self.registry.database.write() as connection:
            built = index, relative, context.predecessor
            mark_built(connection, assessment, built, self.destinations)
        for failed in index.failed:
            log.error(
                "a result object could not be built", extra={"fields": {"kind": failed.kind, "code": failed.code}}
            )
        return index

    def _prepare(self, folder: AssessmentFolder, context: AssessmentContext) -> None:
        """Write the context; objects of another context are removed."""
        with suppress(FileNotFoundError, ValueError):
            if folder.read_context() == context:
                return
        if folder.objects.exists():
            shutil.rmtree(folder.objects)
        folder.write_context(context)

    def _context(self, assessment: Assessment, folder: AssessmentFolder) -> AssessmentContext:
        with self.registry.database.read() as connection:
            instances = assessments.covered_instances(connection, assessment)
            predecessor = sent_predecessor(connection, assessment)
        data_dir = self.registry.folder.path
        stored = [one.path for one in instances if one.path is not None and (data_dir / one.path).is_file()]
        if not stored:
            raise BuildFailed("files_removed")
        report = FetchedReport.model_validate_json(folder.report_file.read_bytes())
        return AssessmentContext(
            seed=self.registry.seed(assessment.series, assessment.number),
            number=assessment.number,
            created=datetime.fromisoformat(assessment.created_at),
            kinds=self._wanted_kinds(),
            header=stored[0],
            instances=tuple(stored),
            slices=tuple(_sources(report, instances)),
            key_images=tuple(index for index in report.key_slices if folder.key_image(index).exists()),
            warnings=tuple(warning.detail for warning in assessment.warnings if warning.severity != "refuse"),
            predecessor=predecessor,
            settings=ResultSettings(
                device_serial_number=self.registry.database.node_id,
                first_series_number=self.first_series_number,
                memory_bytes=self.memory_bytes,
            ),
        )

    def _wanted_kinds(self) -> tuple[Kind, ...]:
        """In the order of KINDS; the SR always."""
        wanted = {"sr", *self.kinds, *(kind for one in self.destinations.values() for kind in one.kinds)}
        return tuple(kind for kind in KINDS if kind in wanted)


def _sources(report: FetchedReport, instances: Sequence[StoredInstance]) -> list[SliceSource]:
    """The instance of each slice; BuildFailed where the report names an unknown file."""
    try:
        return [_source(instances[file_number(one.file)], one.frame) for one in report.slices]
    except (ValueError, IndexError):
        raise BuildFailed("unknown_file_in_report") from None


def _source(instance: StoredInstance, frame: int | None) -> SliceSource:
    return SliceSource(
        path=instance.path or "",
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        frame=frame if instance.frames > 1 else None,
    )
