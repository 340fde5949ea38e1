"""The steps of a node with a gateway and a builder in memory, and crashes at every boundary."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from services.dicom_node.assessment_folder import AssessmentFolder, BuiltObject, ObjectIndex
from services.dicom_node.kinds import Kind
from services.dicom_node.registry.assessments import due_assessments
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.deliveries import Deliveries
from services.dicom_node.registry.delivery_steps import Destination
from services.dicom_node.selection.verdict import SeriesSummary, Verdict
from services.dicom_node.settings import Settings
from services.dicom_node.steps.building import Builder, Building
from services.dicom_node.steps.completing import Completing
from services.dicom_node.steps.gateway_errors import JobLost
from services.dicom_node.steps.gateway_jobs import GatewayJobs, JobFile
from services.dicom_node.steps.steps import Steps
from services.dicom_node.steps.submitting import Submitting
from tests.dicom_node.registries import Node

KINDS: tuple[Kind, ...] = ("sr", "text_sr", "segmentation")
PACS = {"pacs": Destination(frozenset(KINDS), frozenset(KINDS))}


class Crash(BaseException):
    """The process ends here: no code of the node handles it."""


@dataclass
class Crashes:
    """Ends the process at the call of this number, before or after its effect; 0 never does."""

    at: int = 0
    calls: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.at:
            raise Crash(name)


class FakeGateway:
    """The jobs of a gateway. `plan` has errors or outcomes for calls, by the call's name."""

    def __init__(self, crashes: Crashes) -> None:
        self.crashes = crashes
        self.jobs: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.sent: Counter[str] = Counter()
        self.plan: dict[str, list[Exception]] = {}
        self.running = 0  # looks at a job before it ends
        self.end: Mapping[str, Any] = {"status": "finished"}
        self.report: Mapping[str, Any] = {"status": "assessed"}

    def submit(self, key: str, files: Sequence[JobFile]) -> str:
        with self._call("submit"):
            self.sent[key] += 1
            if self.keys.get(key) not in self.jobs:
                names = [file.name for file in files]
                contents = [file.path.read_bytes() for file in files]
                job_id = f"job-{len(self.keys)}-{self.sent.total()}"
                self.jobs[job_id] = {"names": names, "contents": contents, "looks": self.running}
                self.keys[key] = job_id
            return self.keys[key]

    def job(self, job_id: str) -> dict[str, Any]:
        with self._call("job"):
            found = self._find(job_id)
            found["looks"] -= 1
            return {**self.end} if found["looks"] < 0 else {"status": "running"}

    def reports(self, job_id: str) -> list[dict[str, Any]]:
        with self._call("reports"):
            slices = [{"file": name, "frame": 0} for name in self._find(job_id)["names"]]
            blood = {"shape": (len(slices), 1, 1, 5)}
            made = {"id": f"{job_id}-000000", "slices": slices, "key_slices": [0], "blood": blood}
            return [{**made, **self.report}] if self.report else []

    def fetch_blood(self, job_id: str, number: int, size: int, file: Path) -> None:
        with self._call("blood"):
            assert "contents" in self._find(job_id), number
            file.write_bytes(bytes(size))

    def fetch_picture(self, job_id: str, number: int, index: int, file: Path) -> None:
        with self._call("picture"):
            assert "contents" in self._find(job_id), number
            file.write_bytes(b"png %d" % index)

    def delete(self, job_id: str) -> bool:
        with self._call("delete"):
            return self.jobs.pop(job_id, None) is not None or True

    def _find(self, job_id: str) -> dict[str, Any]:
        if job_id not in self.jobs:
            raise JobLost("not_found")
        return self.jobs[job_id]

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        self.crashes(f"before {name}")
        if errors := self.plan.get(name):
            raise errors.pop(0)
        yield
        self.crashes(f"after {name}")


class FakeBuilder:
    """Builds objects whose bytes follow from the context; `failures` are raised first."""

    def __init__(self, crashes: Crashes) -> None:
        self.crashes = crashes
        self.failures: list[Exception] = []
        self.built = 0

    def __call__(self, folder: Path) -> None:
        self.crashes("before build")
        if self.failures:
            raise self.failures.pop(0)
        assessment = AssessmentFolder(folder)
        if not assessment.index_file.exists():
            self._build(assessment)
        self.crashes("after build")

    def _build(self, folder: AssessmentFolder) -> None:
        self.built += 1
        context = folder.read_context()
        json.loads(folder.report_file.read_bytes())
        part = folder.path / f"part-{self.built}"
        part.mkdir()
        objects = [_object(kind, context.seed) for kind in context.kinds]
        for one in objects:
            (part / one.file).write_text(f"{context.model_dump_json()} {one.kind}")
        (part / "index.json").write_text(ObjectIndex(objects=tuple(objects)).model_dump_json())
        part.rename(folder.objects)


def _object(kind: Kind, seed: str) -> BuiltObject:
    return BuiltObject(
        kind=kind,
        file=f"{kind}-1.dcm",
        sop_class_uid="1.2",
        sop_instance_uid=f"2.25.{kind}.{seed}",
        series_instance_uid=f"2.25.{seed}",
    )


class CrashingDatabase(Database):
    """A database whose process may end right before or right after a commit."""

    def __init__(self, path: Path, crashes: Crashes) -> None:
        self.crashes = Crashes()  # none while it is opened
        super().__init__(path)
        self.crashes = crashes

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
            self.crashes("before commit")
        self.crashes("after commit")


class Everything:
    """Rules that let every series pass, or the verdicts of a test."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self.seen: list[tuple[SeriesSummary, Sequence[SeriesSummary]]] = []

    def judge(self, series: SeriesSummary, study: Sequence[SeriesSummary]) -> Verdict:
        self.seen.append((series, study))
        return self.verdicts.pop(0) if self.verdicts else Verdict(ours=True, reasons=("chosen: all are",))


class Pipeline:
    """The steps of a node, taken one after the other."""

    def __init__(self, node: Node, crashes: Crashes | None = None, *, keep_jobs: bool = False, **settings: Any) -> None:
        self.node, self.crashes = node, crashes or Crashes()
        self.settings = Settings(data_dir=node.path, keep_jobs=keep_jobs, **settings)
        self.fake_gateway, self.fake_builder = FakeGateway(self.crashes), FakeBuilder(self.crashes)
        self.gateway: GatewayJobs = self.fake_gateway
        self.builder: Builder = self.fake_builder
        self.selection = Everything()
        self.destinations: Mapping[str, Destination] = PACS
        self.start()

    def start(self) -> None:
        """Compose the steps over the node's registry, as after a start."""
        registry = self.node.registry
        building = Building(registry, self.builder, self.destinations, KINDS, 1024**3)
        self.steps = Steps(registry, Submitting(registry, self.gateway, "options", self.settings.keep_jobs), building)
        self.completing = Completing(registry, self.selection, self.settings)

    def restart(self) -> None:
        """Start again after the process ended."""
        self.node.open()
        self.start()

    def round(self) -> None:
        """Do what is due, each step once."""
        self.completing.run()
        for step in ("complete", "submitted", "reported"):
            registry = self.node.registry
            with registry.database.read() as connection:
                due = due_assessments(connection, registry.clock.now_s(), [step], 100)
            for assessment in due:
                self.steps.advance(assessment)
        self.steps.delete_jobs()

    def run(self, rounds: int = 8, pass_s: float = 20.0) -> None:
        """Let time pass between rounds; after a crash the node starts again."""
        for _ in range(rounds):
            self.node.clocks.pass_s(pass_s)
            try:
                self.round()
            except Crash:
                self.restart()

    @property
    def assessments(self) -> list[tuple[Any, ...]]:
        """Number, step and last error of all assessments."""
        return self.node.rows("SELECT number, step, error_code FROM assessments ORDER BY series, number")

    def report(self, assessment: int = 1) -> Any:
        """The stored report of an assessment."""
        return json.loads(AssessmentFolder.of(self.node.path, assessment).report_file.read_bytes())


def send_all(pipeline: Pipeline) -> None:
    """Let the destination take and commit every pending object."""
    deliveries = Deliveries(pipeline.node.registry.database, pipeline.node.path, pipeline.node.registry.clock.now_s)
    ids = [row[0] for row in pipeline.node.rows("SELECT id FROM deliveries WHERE step = 'pending'")]
    for one in ids:
        deliveries.begin(one, 0.0)
        deliveries.mark_sent(one, "", 0.0)
    deliveries.mark_committed(ids)
