"""The packages that the Makefile installs, by dry runs."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_SHARED = "/tmp"  # noqa: S108 - the Makefile's own default


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "REDIS"))}


def dry_run(target: str, venv: Path, *variables: str) -> str:
    """Return the commands that `make` would run."""
    command = ["make", "--dry-run", f"VENV={venv}", "PYTHON=python3", *variables, target]
    return subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True).stdout


def test_phantoms_need_the_training_packages_only(tmp_path: Path) -> None:
    commands = dry_run("phantoms", tmp_path / "venv")
    assert "requirements/training.txt" in commands
    assert "requirements/dev.txt" not in commands


def test_phantoms_use_an_environment_for_tests_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".dev").touch()
    os.utime(tmp_path / ".dev", (0, 0))
    commands = dry_run("phantoms", tmp_path)
    assert "training phantoms" in commands
    assert "pip" not in commands


@pytest.mark.parametrize("target", ["run-light", "demo", "backup"])
def test_only_run_needs_tensorflow(target: str, tmp_path: Path) -> None:
    commands = dry_run(target, tmp_path / "venv")
    assert "requirements/run-light.txt" in commands
    assert "requirements/run.txt" not in commands
    assert "requirements/run.txt" in dry_run("run", tmp_path / "venv")


def test_a_light_start_uses_a_whole_environment_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".run").touch()
    commands = dry_run("run-light", tmp_path)
    assert "supervisord" in commands
    assert "pip" not in commands


def test_the_socket_of_redis_is_in_a_short_folder_of_the_user_and_the_port() -> None:
    show = ["make", "--eval", "show:; @echo $(REDIS_SOCKET)", "show", "GATEWAY_PORT=9000"]
    environment = {**_environment(), "XDG_RUNTIME_DIR": "/var"}  # it vanishes when the user logs out
    found = subprocess.run(show, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.splitlines()[-1] == f"{_SHARED}/ich-{os.getuid()}-9000/redis.sock"


def test_a_restore_below_running_services_is_refused_by_the_restore(tmp_path: Path) -> None:
    """The advice of taken ports, to choose others, would restore into the folder of another instance."""
    assert "is taken" not in dry_run("restore", tmp_path, "BACKUP=x")
