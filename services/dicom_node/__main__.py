"""`python -m services.dicom_node`: the node under uvicorn, and commands for a running one."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from services.common.folder_lock import FolderInUse
from services.dicom_node.commands import Command, forget_series, resend_series, run_command, show_status
from services.dicom_node.lean_imports import keep_pixel_packages_out
from services.dicom_node.peers import InvalidPeers
from services.dicom_node.selection.rule_file import RuleFileError
from services.dicom_node.settings import Settings

PROGRAM: Final = "python -m services.dicom_node"
_DESCRIPTION: Final = "Receive head CT as a DICOM node, let the gateway assess it, and send the results as DICOM."
_EPILOG: Final = """settings (environment variables; an unknown name stops the start):
{settings}
  docs/reference/settings.md describes them. `make run` sets ports and folders.

  The other commands work on the registry in ICH_NODE_DATA_DIR, beside a running node or without one.

examples:
  ICH_NODE_PEERS_FILE=peers.toml {program} serve --port 8005
  {program} status
  {program} resend --dead

exit status:
  0  done
  2  the command line is wrong, or there is no such series or registry; or a file or folder cannot be used
"""
_SERIES: Final = "number of the series, as `status` shows it, its SeriesInstanceUID, or the StudyInstanceUID of several"
_GRACEFUL_SHUTDOWN_S: Final = 10  # of HTTP requests; transfers have their own time


def main(arguments: Sequence[str]) -> int:
    """Run a command; its exit status."""
    options = _parser().parse_args(arguments if arguments and arguments[0] in _COMMANDS else _with_default(arguments))
    return int(options.run(options))


def _with_default(arguments: Sequence[str]) -> Sequence[str]:
    """`serve` is the command where none is named; help without a command describes all."""
    return arguments if {"-h", "--help"} & set(arguments) else ["serve", *arguments]


def _serve(options: argparse.Namespace) -> int:
    keep_pixel_packages_out()
    import uvicorn  # noqa: PLC0415 - the other commands need no server

    from services.common.connections.server_options import SERVER_OPTIONS  # noqa: PLC0415
    from services.common.connections.table import raise_descriptor_limit  # noqa: PLC0415

    raise_descriptor_limit()
    try:
        uvicorn.run(
            "services.dicom_node.app:create",
            factory=True,
            host=Settings.read().host,
            port=options.port,
            access_log=False,
            timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_S,
            **SERVER_OPTIONS,
        )
    except (InvalidPeers, RuleFileError, FolderInUse) as error:
        print(f"dicom_node: {error}", file=sys.stderr)
        return 2
    return 0


_COMMANDS: Final = ("serve", "status", "resend", "forget")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG.format(settings="\n".join(_settings()), program=PROGRAM),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="run the node until SIGTERM or SIGINT (the default)")
    serve.add_argument("--port", type=int, default=8005, help="port of HTTP (%(default)s)")
    serve.set_defaults(run=_serve)
    status = _command(commands, "status", show_status, "print series by step, destinations and dead letters")
    status.add_argument("--json", action="store_true", help="as JSON")
    resend = _command(commands, "resend", resend_series, "send results again, or build failed ones again")
    resend.add_argument("series", nargs="?", metavar="SERIES", help=_SERIES)
    resend.add_argument("--dead", action="store_true", help="all dead letters instead of one series")
    resend.add_argument("--to", metavar="NAME", help="to this destination only")
    forget = _command(commands, "forget", forget_series, "delete a series here, with its results and deliveries")
    forget.add_argument("series", metavar="SERIES", help=_SERIES)
    return parser


def _command(commands: Any, name: str, run: Command, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
    parser.set_defaults(run=run_command, command=run)
    return parser


def _settings() -> Iterator[str]:
    prefix = Settings.model_config["env_prefix"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else field.default
        yield f"  {prefix}{name.upper():30} {default if default != () else ''}".rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
