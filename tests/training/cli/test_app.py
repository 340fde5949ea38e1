import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bundles import write_bundle
from training.cli.app import COMMANDS, build_app, main

HELP = """
import runpy, sys
sys.argv = ["training", *sys.argv[1:]]
try:
    runpy.run_module("training", run_name="__main__")
except SystemExit:
    pass
assert "tensorflow" not in sys.modules
assert "keras" not in sys.modules
"""
# Restores SIGINT, which a background shell ignores for its children.
WITH_SIGINT = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


def names() -> list[str]:
    return [command.__name__.replace("_", "-") for command in COMMANDS]


def help_of(*command: str) -> str:
    done = subprocess.run([sys.executable, "-c", HELP, *command, "--help"], capture_output=True, text=True, check=True)
    return done.stdout


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code, capsys.readouterr().err


def test_help_lists_the_commands_and_loads_no_tensorflow() -> None:
    text = help_of()
    assert [name for name in names() if f"  {name}: " not in text] == []


@pytest.mark.parametrize("name", ["cnn", "default", "evaluate"])
def test_the_help_of_a_command_loads_no_tensorflow(name: str) -> None:
    assert "--run PATH: " in help_of(name)


@pytest.mark.parametrize("command", COMMANDS, ids=names())
def test_every_option_has_a_help_text(command: Any) -> None:
    app = build_app()[command.__name__.replace("_", "-")]
    assert app.help
    arguments = list(app.assemble_argument_collection(parse_docstring=True))
    assert [argument.name for argument in arguments if argument.show and not argument.parameter.help] == []


def test_a_training_error_is_one_sentence_and_exit_code_1() -> None:
    command = [sys.executable, "-m", "training", "index", "nothing.zip"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "nothing.zip cannot be read: No such file or directory.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["phantoms", "--small=1.5"], "--small. Must be <= 1"),
        (["phantoms", "--small=-0.1"], "--small. Must be >= 0"),
        (["phantoms", "--small=nan"], "--small"),
        (["phantoms", "--small=some"], '"some"'),
        (["phantoms", "--size", "300"], '"300"'),
        (["phantom"], 'Did you mean "phantoms"?'),
        (["phantoms", "--see", "1"], "Did you mean --seed?"),
        (["verify"], "requires an argument"),
        (["recalibrate", "models/default", "--engine", "torch"], '"torch"'),
    ],
)
def test_a_usage_error_names_the_option_and_exits_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = fails(capsys, *arguments)
    assert code == 2
    assert message in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["default", "--soup", "models/default"], "--soup needs --large"),
        (["default", "--large", "--minutes", "3"], "--minutes and --large exclude each other"),
        (["default", "--large", "--begin", "{file}"], "--begin with a file of weights needs --cnn-only"),
        (["evaluate", "--bundle", "models/default"], "give both --files and --labels"),
        (["evaluate", "--files", "some"], "give both --files and --labels"),
        (["recalibrate", "models/default", "--files", "some"], "--files and --labels belong together"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "weights.npz").touch()
    given = [argument.format(file=tmp_path / "weights.npz") for argument in arguments]
    with pytest.raises(SystemExit, match=message):
        main(given)


@pytest.mark.parametrize(
    "arguments",
    [["plots", "--bundle"], ["verify"], ["default", "--large", "--begin"], ["evaluate-phantoms", "--bundle"]],
)
def test_a_folder_that_is_no_bundle_is_one_sentence(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"^{tmp_path}.*card"):
        main([*arguments, str(tmp_path)])


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["plots", "--bundle"],
        ["recalibrate"],
        ["weights", "--bundle"],
        ["default", "--large", "--begin"],
        ["default", "--large", "--soup"],
        ["evaluate-phantoms", "--bundle"],
    ],
)
def test_a_bundle_with_a_symbolic_link_is_refused(arguments: list[str], tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (bundle / "cnn").rename(tmp_path / "cnn")
    (bundle / "cnn").symlink_to(tmp_path / "cnn")
    with pytest.raises(SystemExit, match=f"^{bundle}: 'cnn' is a symbolic link"):
        main([*arguments, str(bundle)])


@pytest.fixture
def phantoms(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    step = ["-m", "training", "phantoms", "--studies", "40", "--out", str(tmp_path / "made.zip")]
    command = [sys.executable, "-c", WITH_SIGINT, sys.executable, *step]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process


def test_ctrl_c_ends_a_command_with_one_sentence(phantoms: subprocess.Popen[str]) -> None:
    assert phantoms.stderr
    first = phantoms.stderr.readline()
    os.killpg(phantoms.pid, signal.SIGINT)  # as a terminal does, to the worker processes too
    rest = phantoms.stderr.read()
    assert phantoms.wait() == 130
    assert "Traceback" not in rest, first
    assert rest.endswith("Stopped. The same command resumes from its last checkpoint.\n")
