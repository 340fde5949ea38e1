"""Clocks are values here: a jump of the wall clock is a reading."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.common.elapsed import Reading
from services.gateway.jobs.job import Job
from services.gateway.jobs.retention import DAY_S, Retention, RetentionClock
from services.gateway.jobs.store import JobStore
from tests.gateway.jobs.factories import job_of

TTL_S = 7 * DAY_S
SWEEP_S = 60.0
YEAR_S = 365 * DAY_S


@dataclass
class Machine:
    """A machine's clocks. Its wall clock may be wrong."""

    reading: Reading

    def read(self) -> Reading:
        return self.reading

    def pass_time(self, seconds: float) -> None:
        now = self.reading
        self.reading = replace(now, boot_s=now.boot_s + seconds, wall_s=now.wall_s + seconds)

    def jump(self, seconds: float) -> None:
        self.reading = replace(self.reading, wall_s=self.reading.wall_s + seconds)

    def reboot(self, off_s: float = 60.0) -> None:
        self.reading = Reading(f"{self.reading.boot}+", 0.0, self.reading.wall_s + off_s)


@pytest.fixture
def machine() -> Machine:
    return Machine(Reading("boot", 1000.0, 1.8e9))


def gateway(store: JobStore, machine: Machine) -> Retention:
    """The retention of a gateway that has just started."""
    return Retention(store, RetentionClock(store.storage, machine.read), TTL_S)


def sweep(retention: Retention) -> list[Job]:
    return list(retention.sweep())


@pytest.fixture
def retention(store: JobStore, machine: Machine) -> Retention:
    found = gateway(store, machine)
    sweep(found)
    return found


def ended_job(store: JobStore, folder: Path, machine: Machine) -> Job:
    """A job that ends now, by the machine's wall clock."""
    job = job_of(store, folder)
    moment = datetime.fromtimestamp(machine.reading.wall_s, UTC).isoformat()
    store.storage.create(f"{job.key}/ended.json", json.dumps({"status": "finished", "at": moment}).encode())
    store.unmark_open("routine", job)
    return job


def live(retention: Retention, machine: Machine, seconds: float, step_s: float = 3600.0) -> None:
    """Let time pass with sweeps."""
    for _ in range(round(seconds / step_s)):
        machine.pass_time(step_s)
        sweep(retention)


def test_a_job_is_deleted_after_its_time_and_not_before(
    store: JobStore, tmp_path: Path, retention: Retention, machine: Machine
) -> None:
    job = ended_job(store, tmp_path, machine)
    live(retention, machine, TTL_S)
    assert job.exists()
    live(retention, machine, 3600)
    assert not job.exists()


@pytest.mark.parametrize("jump_s", [YEAR_S, -YEAR_S, 10 * DAY_S, -10 * DAY_S])
def test_a_jump_of_the_clock_changes_no_jobs_life(
    store: JobStore, tmp_path: Path, retention: Retention, machine: Machine, jump_s: float
) -> None:
    before = ended_job(store, tmp_path, machine)
    live(retention, machine, DAY_S)
    machine.jump(jump_s)
    after = ended_job(store, tmp_path, machine)
    live(retention, machine, TTL_S - DAY_S)
    assert before.exists()
    assert after.exists()
    live(retention, machine, DAY_S + 2 * 3600)
    assert not before.exists()
    assert not after.exists()


@pytest.mark.parametrize("jump_s", [YEAR_S, -YEAR_S])
def test_a_jump_over_a_restart_within_one_boot_changes_no_jobs_life(
    store: JobStore, tmp_path: Path, retention: Retention, machine: Machine, jump_s: float
) -> None:
    job = ended_job(store, tmp_path, machine)
    live(retention, machine, DAY_S)
    machine.jump(jump_s)
    machine.pass_time(3 * DAY_S)
    restarted = gateway(store, machine)
    sweep(restarted)
    live(restarted, machine, 3 * DAY_S - 3600)
    assert job.exists()
    live(restarted, machine, 3 * 3600)
    assert not job.exists()


def test_a_jump_over_a_reboot_ages_a_job_by_a_day_at_most(
    store: JobStore, tmp_path: Path, retention: Retention, machine: Machine
) -> None:
    job = ended_job(store, tmp_path, machine)
    live(retention, machine, DAY_S)
    machine.jump(YEAR_S)
    machine.reboot()
    restarted = gateway(store, machine)
    sweep(restarted)
    live(restarted, machine, TTL_S - 2 * DAY_S - 3600)
    assert job.exists()
    live(restarted, machine, 2 * 3600)
    assert not job.exists()


def test_a_jump_back_over_a_reboot_keeps_a_job_by_no_more_than_the_time_off(
    store: JobStore, tmp_path: Path, retention: Retention, machine: Machine
) -> None:
    job = ended_job(store, tmp_path, machine)
    live(retention, machine, DAY_S)
    machine.jump(-YEAR_S)
    machine.reboot(off_s=2 * DAY_S)
    restarted = gateway(store, machine)
    live(restarted, machine, TTL_S - DAY_S + 2 * 3600)
    assert not job.exists()


def test_an_end_that_was_stamped_in_the_future_or_past_lives_as_long_as_others(
    store: JobStore, tmp_path: Path, retention: Retention, machine: Machine
) -> None:
    jobs = []
    for wrong_s in (10 * YEAR_S, -10 * YEAR_S):
        machine.jump(wrong_s)
        jobs.append(ended_job(store, tmp_path, machine))
        machine.jump(-wrong_s)
    live(retention, machine, TTL_S - 3600)
    assert all(job.exists() for job in jobs)
    live(retention, machine, 3 * 3600)
    assert not any(job.exists() for job in jobs)


@pytest.mark.usefixtures("retention")
def test_a_job_that_ended_while_the_gateway_was_down_is_as_old_as_it_can_be(
    store: JobStore, tmp_path: Path, machine: Machine
) -> None:
    machine.pass_time(DAY_S)
    job = ended_job(store, tmp_path, machine)
    machine.pass_time(3 * DAY_S)
    restarted = gateway(store, machine)
    sweep(restarted)
    live(restarted, machine, TTL_S - 3 * DAY_S - 3600)
    assert job.exists()
    live(restarted, machine, 2 * 3600)
    assert not job.exists()


def test_jobs_of_an_older_version_keep_their_age_and_get_a_day_at_least(
    store: JobStore, tmp_path: Path, machine: Machine
) -> None:
    old = ended_job(store, tmp_path, machine)
    machine.pass_time(2 * DAY_S)
    upgraded = gateway(store, machine)
    machine.jump(-YEAR_S)
    older = ended_job(store, tmp_path, machine)
    machine.jump(YEAR_S)
    sweep(upgraded)
    live(upgraded, machine, DAY_S - 3600)
    assert older.exists()
    live(upgraded, machine, 2 * 3600)
    assert not older.exists()
    live(upgraded, machine, 4 * DAY_S - 2 * 3600)
    assert old.exists()
    live(upgraded, machine, 2 * 3600)
    assert not old.exists()


def test_a_lost_clock_deletes_nothing_and_keeps_no_job_for_ever(
    store: JobStore, tmp_path: Path, retention: Retention, machine: Machine
) -> None:
    machine.pass_time(YEAR_S)
    sweep(retention)
    job = ended_job(store, tmp_path, machine)
    sweep(retention)
    store.storage.remove("clock")
    restarted = gateway(store, machine)
    sweep(restarted)
    assert job.exists()
    live(restarted, machine, TTL_S + 2 * 3600)
    assert not job.exists()


def test_one_reading_is_stored(store: JobStore, retention: Retention, machine: Machine) -> None:
    live(retention, machine, 5 * SWEEP_S, SWEEP_S)
    assert len(store.storage.names("clock")) == 1


def test_a_damaged_reading_starts_a_new_clock(store: JobStore, tmp_path: Path, machine: Machine) -> None:
    store.storage.create("clock/000001000000001", b"{")
    job = ended_job(store, tmp_path, machine)
    sweep(gateway(store, machine))
    assert job.exists()
