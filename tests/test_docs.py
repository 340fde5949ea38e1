"""Every link, path, command, option and setting that the Markdown files name exists; sentences are short."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from services.cnn.settings import Settings as CnnSettings
from services.dicom_node.settings import Settings as NodeSettings
from services.gateway.settings import Settings as GatewaySettings
from services.preprocess.settings import Settings as PreprocessSettings
from services.rnn.settings import Settings as RnnSettings
from training.cli.app import build_app

ROOT: Final = Path(__file__).parents[1]
HISTORY: Final = "CHANGELOG.md"  # names files and commands as they were
_FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_MAKE = re.compile(r"(?:^|[\s(])make((?: +[A-Z_]+=(?:\"[^\"]*\"|\S+))*)(?: +([a-z][a-z0-9-]*))?((?: +[A-Z_]+=\S+)*)")
_MODULE = re.compile(r"python -m ((?:services|training|tests)[\w.]*)((?: +[^\s|&>]+)*)")
_OPTION = re.compile(r" (--(?!help)[a-z][a-z-]*)")
_SETTING = re.compile(r"\bICH_(?:[A-Z0-9]|_(?=[A-Z0-9*])|\*)+")
_TREE = re.compile(r"^(?:services|training|tests|docs|deploy|models|samples|requirements|\.ci)/[\w./*-]+$")
_IMPORT = re.compile(r"^from ((?:services|training)[\w.]*) import ([\w, ]+)$")
_BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n?\|")
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+")
_LONGEST_SENTENCE: Final = 25
_SETTINGS = (GatewaySettings, PreprocessSettings, CnnSettings, RnnSettings, NodeSettings)


def documents() -> list[Path]:
    """All Markdown files of the repository."""
    folders = ("docs", "deploy", "models", "samples")
    return sorted([*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))])


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Return the text of each document that describes the present, by its path in the repository."""
    found = {str(path.relative_to(ROOT)): path.read_text() for path in documents()}
    found.pop(HISTORY)
    return found


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub forms them."""
    headings = (heading.lower().replace("`", "") for heading in _HEADING.findall(_FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> Iterator[str]:
    """Yield every relative link of a document whose file or anchor is missing."""
    for link in _LINK.findall(_FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            yield f"{path.relative_to(ROOT)}: {link}"


def code(text: str) -> Iterator[str]:
    """Yield the lines of code blocks, continued lines joined, and the code spans of a document."""
    for block in _FENCE.finditer(text):
        yield from block.group().replace("\\\n", " ").splitlines()
    yield from (" ".join(span.split()) for span in _CODE.findall(_FENCE.sub("", text)))


def unknown_make(line: str, makefile: str) -> Iterator[str]:
    """Yield the targets and variables of a `make` command that the Makefile lacks."""
    for before, target, after in _MAKE.findall(line):
        if target and not re.search(rf"^{target}:", makefile, re.MULTILINE):
            yield f"make {target}"
        for variable in re.findall(r"([A-Z_]+)=", before + after):
            if not re.search(rf"\$\({variable}\)|^(?:export )?{variable} [?:]?=", makefile, re.MULTILINE):
                yield f"make {variable}="


def module_file(module: str) -> Path | None:
    """Return the file that `python -m module` runs, or None."""
    path = ROOT / module.replace(".", "/")
    candidates = (path / "__main__.py", path.with_name(f"{path.name}.py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def unknown_module(line: str, commands: dict[str, set[str]]) -> Iterator[str]:
    """Yield the modules, commands of training and options of a line that do not exist."""
    for module, arguments in _MODULE.findall(line):
        file, command = module_file(module), arguments.split()[0] if arguments.split() else ""
        if file is None:
            yield module
        elif module != "training":
            source = "".join(path.read_text() for path in file.parent.glob("*.py"))
            yield from (f"{module} {option}" for option in _OPTION.findall(arguments) if f'"{option}"' not in source)
        elif re.fullmatch(r"[a-z-]+", command) and command not in commands:
            yield f"training {command}"
        else:
            known = commands.get(command, set())
            yield from (f"training {command} {option}" for option in _OPTION.findall(arguments) if option not in known)


def training_commands() -> dict[str, set[str]]:
    """Return the option names of every command of `python -m training`."""
    app = build_app()
    names = [name for name in app if not name.startswith("-")]
    return {name: {flag for each in app[name].assemble_argument_collection() for flag in each.names} for name in names}


def unknown_names(line: str) -> Iterator[str]:
    """Yield the names that a line of Python imports from this repository, and that its module lacks."""
    for module, names in _IMPORT.findall(line):
        path = ROOT / f"{module.replace('.', '/')}.py"
        source = path.read_text() if path.is_file() else ""
        yield from (
            f"{module}.{name}"
            for name in names.split(", ")
            if not re.search(rf"^(?:def|class) {name}\b", source, re.MULTILINE)
        )


def settings() -> set[str]:
    """Return the environment names of the services' settings, of Compose and of the clients."""
    fields = {f"{each.model_config['env_prefix']}{name}".upper() for each in _SETTINGS for name in each.model_fields}
    compose = "".join(path.read_text() for path in ROOT.glob("docker-compose*.yml"))
    clients = "".join(path.read_text() for path in (ROOT / "services" / "gateway").glob("*.py"))
    return fields | set(re.findall(r"\$\{(ICH_[A-Z_]+)", compose)) | set(re.findall(r"\bICH_[A-Z]+\b", clients))


def long_sentences(text: str) -> Iterator[str]:
    """Yield the sentences of more than 25 words; a code span counts as one word, a cell of a table as a text."""
    prose = re.sub(r"\]\([^()]*\)", "]", _CODE.sub("X", _FENCE.sub("", text)))
    for block in _BLOCK.split(prose):
        for sentence in _SENTENCE.split(block.strip()):
            if sum(bool(re.search(r"\w", word)) for word in sentence.split()) > _LONGEST_SENTENCE:
                yield " ".join(sentence.split())


def test_the_checks_find_faults() -> None:
    assert list(unknown_make("make tset N=1 NO=1", "test:\n\techo $(N)\n")) == ["make tset", "make NO="]
    assert list(unknown_module("python -m services.nothing", {})) == ["services.nothing"]
    assert list(unknown_module("python -m training evalute --files X", {"evaluate": {"--files"}})) == [
        "training evalute"
    ]
    assert list(unknown_module("python -m training verify --no X", {"verify": set()})) == ["training verify --no"]
    assert list(unknown_module("python -m services.gateway.send --no", {})) == ["services.gateway.send --no"]
    assert list(unknown_names("from training.phantom.study import nothing")) == ["training.phantom.study.nothing"]
    assert len(list(long_sentences("word " * 26 + "end. Short."))) == 1
    assert list(code("`a  b` and\n```sh\nc \\\n d\n```\n")) == ["```sh", "c   d", "```", "a b"]
    assert anchors("# A `b` c, d\n## It's 1.2\n") == {"a-b-c-d", "its-12"}


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    assert [broken for path in documents() for broken in broken_links(path)] == []


def test_every_document_is_linked_from_another() -> None:
    linked = {
        (path.parent / link.partition("#")[0]).resolve()
        for path in documents()
        for link in _LINK.findall(path.read_text())
    }
    roots = {ROOT / "README.md", ROOT / "samples" / "README.md"}
    assert [str(path) for path in documents() if path not in linked | roots] == []


def test_every_make_target_and_variable_exists(texts: dict[str, str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    unknown = [
        f"{name}: {each}" for name, text in texts.items() for c in code(text) for each in unknown_make(c, makefile)
    ]
    assert unknown == []


def test_every_python_module_command_and_option_exists(texts: dict[str, str]) -> None:
    commands = training_commands()
    assert "evaluate-phantoms" in commands
    unknown = [
        f"{name}: {each}" for name, text in texts.items() for c in code(text) for each in unknown_module(c, commands)
    ]
    assert unknown == []


def test_every_imported_name_exists(texts: dict[str, str]) -> None:
    unknown = [f"{name}: {each}" for name, text in texts.items() for c in code(text) for each in unknown_names(c)]
    assert unknown == []


def test_every_setting_exists(texts: dict[str, str]) -> None:
    known = settings()
    assert "ICH_KEY" in known
    named = {(name, each) for name, text in texts.items() for each in _SETTING.findall(text)}
    patterns = {(name, each): re.compile(each.replace("*", "[A-Z_]+")) for name, each in named}
    unknown = [key for key, pattern in patterns.items() if not any(pattern.fullmatch(each) for each in known)]
    assert unknown == []


def test_every_path_of_the_repository_exists(texts: dict[str, str]) -> None:
    paths = {(name, each) for name, text in texts.items() for each in code(text) if _TREE.match(each)}
    assert len(paths) > 10
    assert [(name, path) for name, path in sorted(paths) if not any(ROOT.glob(path.rstrip("/")))] == []


def test_sentences_are_short(texts: dict[str, str]) -> None:
    assert [f"{name}: {each}" for name, text in texts.items() for each in long_sentences(text)] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
