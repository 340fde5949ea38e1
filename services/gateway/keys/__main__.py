"""`python -m services.gateway.keys`: adds, lists, hashes and revokes the API keys of a site."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from services.common.clients import ANONYMOUS, SENDER_ID
from services.common.identity.key_lines import StoredKey, hash_key, parse_roles
from services.common.identity.new_keys import new_key
from services.common.identity.principal import DEFAULT_ROLES, ROLES, Role
from services.gateway.audit.events import SYSTEM
from services.gateway.keys.key_file import add_key, hash_keys, revoke_keys, stored_keys

SETTING: Final = "ICH_GATEWAY_SENDERS_FILE"
NOT_FOUND: Final = 1
UNUSABLE: Final = 2
_RESERVED: Final = (ANONYMOUS, SYSTEM)
_FINGERPRINT: Final = re.compile("[0-9a-f]{8}")
_EPILOG: Final = f"""roles: {", ".join(ROLES)}
  submit    sends jobs and predictions, changes and deletes its own jobs
  read      reads its own jobs
  read_all  reads all jobs
  admin     has all roles, reads the audit log, changes and deletes any job

The file holds hashes, and a running gateway reads it again at the next request. It is FILE of --file, else that of
{SETTING}.

exit status: 0, 1 where no key matches, 2 where the file cannot be read or written.

examples:
  python -m services.gateway.keys add scanner-1 --roles submit --expires 2027-12-01 --file /etc/ich/senders
  python -m services.gateway.keys add reading-room --roles submit,read_all > reading-room.key
  python -m services.gateway.keys list
  python -m services.gateway.keys revoke scanner-1
  python -m services.gateway.keys revoke scanner-1 --key 5d41402a
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    if options.file is None:
        print(f"name the file of keys: --file FILE, or {SETTING}", file=sys.stderr)
        return UNUSABLE
    try:
        status: int = options.run(options)
    except OSError as error:
        print(f"{options.file}: {error.strerror}", file=sys.stderr)
        return UNUSABLE
    except ValueError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    return status


def _add(options: argparse.Namespace) -> int:
    """Print a new key alone to standard output, so that it can be redirected."""
    key = new_key(options.sender)
    today = datetime.now(UTC).date()
    add_key(options.file, StoredKey(hash_key(key), options.sender, options.roles, today, options.expires))
    print(key)
    print("This key is shown once: the file has its hash only.", file=sys.stderr)
    return 0


def _list(options: argparse.Namespace) -> int:
    now, keys = datetime.now(UTC), stored_keys(options.file)
    print(f"{'sender':32} {'key':8} {'roles':27} {'created':10} {'expires':10} state")
    for key in keys:
        state = "expired" if key.is_expired(now) else "in the clear" if key.plain else "valid"
        days = (f"{day or '-':10}" for day in (key.created and str(key.created), key.expires and str(key.expires)))
        print(f"{key.sender:32} {key.fingerprint} {','.join(sorted(key.roles)):27} {' '.join(days)} {state}")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    def chosen(key: StoredKey) -> bool:
        return key.sender == options.sender and options.key in (None, key.fingerprint)

    count = revoke_keys(options.file, chosen)
    print(f"keys of {options.sender} revoked: {count}", file=sys.stderr)
    return 0 if count else NOT_FOUND


def _hash(options: argparse.Namespace) -> int:
    count = hash_keys(options.file, datetime.now(UTC).date())
    print(f"keys replaced by their hashes: {count}; senders keep their keys", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m services.gateway.keys",
        description="Manage the API keys of a site: each belongs to a sender, and has roles.",
        formatter_class=style,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    common = argparse.ArgumentParser(add_help=False)
    file = os.environ.get(SETTING)
    common.add_argument("--file", type=Path, default=Path(file) if file else None, help=f"file of keys ({SETTING})")
    commands = parser.add_subparsers(required=True, metavar="command")

    add = commands.add_parser("add", parents=[common], help="make a key, and print it once")
    add.add_argument("sender", type=_sender, help="letters, digits and hyphens; it names the folder of the jobs")
    add.add_argument("--roles", type=_roles, default=DEFAULT_ROLES, help="separated by commas; submit,read without it")
    add.add_argument("--expires", type=_day, help="first day (UTC) on which the key is refused, such as 2027-12-01")
    add.set_defaults(run=_add)

    show = commands.add_parser("list", parents=[common], help="list senders, roles and dates; never a key")
    show.set_defaults(run=_list)

    revoke = commands.add_parser("revoke", parents=[common], help="remove the keys of a sender, or one of them")
    revoke.add_argument("sender", type=_sender)
    revoke.add_argument("--key", type=_fingerprint, help="the key's first 8 digits in the list; all keys without it")
    revoke.set_defaults(run=_revoke)

    hashes = commands.add_parser("hash", parents=[common], help="replace keys in the clear by their hashes")
    hashes.set_defaults(run=_hash)
    return parser


def _sender(text: str) -> str:
    if not SENDER_ID.fullmatch(text):
        raise argparse.ArgumentTypeError("an id has 1 to 32 letters, digits and hyphens")
    if text in _RESERVED:
        raise argparse.ArgumentTypeError(f"{text!r} has a meaning of its own: choose another id")
    return text


def _roles(text: str) -> frozenset[Role]:
    try:
        found = parse_roles(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not found:
        raise argparse.ArgumentTypeError(f"name a role of {', '.join(ROLES)}")
    return found


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a date looks like 2027-12-01") from None
    if found <= datetime.now(UTC).date():
        raise argparse.ArgumentTypeError("the key would be expired already: name a later day")
    return found


def _fingerprint(text: str) -> str:
    if not _FINGERPRINT.fullmatch(text):
        raise argparse.ArgumentTypeError("the list shows 8 digits for each key, such as 5d41402a")
    return text


if __name__ == "__main__":
    sys.exit(main())
