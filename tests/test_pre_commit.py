"""The hooks before a commit run the tools of `make check`, from the same environment."""

import sys
from pathlib import Path

from ruamel.yaml import YAML

from tests.running import ROOT

_KEYS = {"id", "name", "entry", "language", "types"}


def test_hooks_run_the_tools_of_make_check() -> None:
    (repository,) = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    makefile = (ROOT / "Makefile").read_text()
    for hook in repository["hooks"]:
        assert hook.keys() - {"pass_filenames"} == _KEYS
        tool = hook["entry"].removeprefix(".venv/bin/").split()[0]
        assert f"\t$(BIN)/{tool}" in makefile
        assert (Path(sys.executable).parent / tool).is_file()
