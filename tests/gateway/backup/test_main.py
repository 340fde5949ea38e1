import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from services.gateway.backup.__main__ import main
from services.gateway.backup.archive import ArchiveWriter
from services.gateway.backup.settings_files import settings_members
from tests.gateway.backup.stores import content, filled_store
from tests.reference import SETTINGS
from tests.running import ROOT


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    filled_store(tmp_path / "jobs")
    return tmp_path / "jobs"


def _environment(path: Path) -> dict[str, str]:
    """The variables ICH_* that a shell exports after it has read a file."""
    command = [
        "sh",
        "-c",
        f". {path} && exec {sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'",
    ]
    found = json.loads(
        subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, check=True).stdout
    )
    return {name: value for name, value in found.items() if name.startswith("ICH_")}


def test_settings_and_the_files_that_they_name_come_back(
    tmp_path: Path, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders = tmp_path / "senders"
    senders.write_text("ann 0123456789abcdef\n")
    monkeypatch.setenv("ICH_GATEWAY_SENDERS_FILE", str(senders))
    monkeypatch.setenv("ICH_GATEWAY_CORS_ORIGINS", '["https://it\'s.example.org"]')
    monkeypatch.setenv("ICH_KEY", "a client's own key")
    site = tmp_path / "site"
    (site / "more").mkdir(parents=True)
    (site / "more" / "acceptance.toml").write_text("[severity]\n")
    main(["create", str(tmp_path / "a.tar"), "--jobs", str(jobs), "--settings", str(site)])
    senders.unlink()
    back = tmp_path / "back"
    main(["restore", str(tmp_path / "a.tar"), "--jobs", str(tmp_path / "new"), "--settings", str(back)])
    restored = _environment(back / "environment.sh")
    assert Path(restored["ICH_GATEWAY_SENDERS_FILE"]).read_text() == "ann 0123456789abcdef\n"
    assert restored["ICH_GATEWAY_CORS_ORIGINS"] == '["https://it\'s.example.org"]'
    assert "ICH_KEY" not in restored
    assert (back / "files/site/more/acceptance.toml").read_text() == "[severity]\n"
    assert {path.stat().st_mode & 0o077 for path in back.rglob("*")} == {0}


@pytest.mark.parametrize("content", [b'{"ICH_X; touch pwned": "1"}', b'{"PATH": "/evil"}', b'{"ICH_X": 1}', b"[]"])
def test_settings_that_a_shell_would_run_are_refused(tmp_path: Path, content: bytes) -> None:
    with (tmp_path / "a.tar").open("wb") as file, ArchiveWriter(file) as writer:
        writer.add_bytes("settings/environment.json", content)
        writer.finish(jobs=0)
    with pytest.raises(SystemExit, match="use another one"):
        main(
            ["restore", str(tmp_path / "a.tar"), "--jobs", str(tmp_path / "new"), "--settings", str(tmp_path / "back")]
        )
    assert not list((tmp_path / "back").glob("*"))


def test_settings_are_those_of_the_running_process(tmp_path: Path, jobs: Path) -> None:
    program = "import sys; print(flush=True); sys.stdin.read()"
    running = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "ICH_GATEWAY_MAX_FILES": "7"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with running:
        assert running.stdout
        running.stdout.readline()
        (tmp_path / "pid").write_text(str(running.pid))
        archive = tmp_path / "a.tar"
        main(["create", str(archive), "--jobs", str(jobs), "--environment-of", str(tmp_path / "pid")])
        running.communicate(b"")
    back = tmp_path / "back"
    main(["restore", str(archive), "--jobs", str(tmp_path / "new"), "--settings", str(back)])
    assert _environment(back / "environment.sh")["ICH_GATEWAY_MAX_FILES"] == "7"


def test_a_file_that_a_setting_names_and_that_is_missing_stops_the_backup(
    tmp_path: Path, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICH_GATEWAY_SENDERS_FILE", str(tmp_path / "missing"))
    with pytest.raises(SystemExit, match="ICH_GATEWAY_SENDERS_FILE"):
        main(["create", str(tmp_path / "a.tar"), "--jobs", str(jobs)])
    assert {path.name for path in tmp_path.iterdir()} == {"jobs"}


@pytest.mark.parametrize("named", [True, False])
def test_the_addenda_of_the_bundle_are_backed_up(
    tmp_path: Path,
    jobs: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: bool,  # noqa: FBT001 - by option or by setting
) -> None:
    addenda = tmp_path / "bundle" / "addenda"
    addenda.mkdir(parents=True)
    (addenda / "site.json").write_text("{}")
    (addenda.parent / "card.json").write_text("not an addendum")
    options = ["--bundle", str(addenda.parent)] if named else []
    if not named:
        monkeypatch.setenv("ICH_RNN_BUNDLE", str(addenda.parent))
    main(["create", str(tmp_path / "a.tar"), "--jobs", str(jobs), *options])
    back = tmp_path / "back"
    main(["restore", str(tmp_path / "a.tar"), "--jobs", str(tmp_path / "new"), "--settings", str(back)])
    assert (back / "addenda" / "site.json").read_text() == "{}"
    assert [path.name for path in back.rglob("card.json")] == []


def test_every_setting_that_names_a_file_to_read_is_backed_up(tmp_path: Path) -> None:
    """A new setting of another name must be added to `settings_files.py`."""
    for settings in SETTINGS.values():
        prefix = settings.model_config["env_prefix"]
        for field, info in settings.model_fields.items():
            if Path not in (info.annotation, *get_args(info.annotation)) or field.endswith(
                ("_dir", "_cache", "bundle")
            ):
                continue
            file = tmp_path / field
            file.touch()
            name = f"{prefix}{field.upper()}"
            members = dict(settings_members({name: str(file)}, []))
            assert (members.get(f"named/{name}") == file) == (field != "audit_file"), name


def test_an_archive_is_private_and_is_never_overwritten(tmp_path: Path, jobs: Path) -> None:
    create = ["create", str(tmp_path / "a.tar"), "--jobs", str(jobs), "--no-environment"]
    main(create)
    assert (tmp_path / "a.tar").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "a.tar").read_bytes()
    with pytest.raises(SystemExit, match="exists: name another file"):
        main(create)
    assert (tmp_path / "a.tar").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "jobs"}


def test_verify_accepts_a_whole_archive_and_refuses_a_cut_one(
    tmp_path: Path, jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "a.tar"
    main(["create", str(archive), "--jobs", str(jobs), "--no-environment"])
    main(["verify", str(archive)])
    assert "verify: 2 jobs, " in capsys.readouterr().err
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(SystemExit, match="verify: "):
        main(["verify", str(archive)])


def test_an_archive_passes_through_pipes(tmp_path: Path, jobs: Path) -> None:
    """As in Compose, where the file is on the host and the jobs are in a volume."""
    backup = [sys.executable, "-m", "services.gateway.backup"]
    create = [*backup, "create", "-", "--jobs", str(jobs), "--no-environment"]
    made = subprocess.run(create, cwd=ROOT, capture_output=True, check=True).stdout
    restore = [*backup, "restore", "-", "--jobs", str(tmp_path / "new")]
    subprocess.run(restore, cwd=ROOT, input=made, capture_output=True, check=True)
    assert content(tmp_path / "new") == content(jobs)
    assert io.BytesIO(made).getbuffer().nbytes > 0


@pytest.mark.parametrize("more", [[], ["--no-environment"]])
def test_jobs_in_an_object_storage_are_refused_by_name(
    tmp_path: Path, jobs: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    monkeypatch.setenv("ICH_GATEWAY_JOBS_URL", "s3://bucket/prefix")
    with pytest.raises(SystemExit, match="ICH_GATEWAY_JOBS_URL is set"):
        main(["create", str(tmp_path / "archive"), "--jobs", str(jobs), *more])
    assert not (tmp_path / "archive").exists()
