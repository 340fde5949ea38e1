"""Hostile archives."""

import io
import zipfile
from typing import Final

from tests.attack.attack import Attack, Outcome, Target, refused_within

_LIMIT_S: Final = 5.0


def _bzip2_bomb(target: Target) -> Outcome:
    """A member of 5 GB of zeros would take minutes to make: 500 MB show the same."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as archive, archive.open("a.dcm", "w") as member:
        for _ in range(500):
            member.write(bytes(1 << 20))
    return refused_within(_LIMIT_S, lambda: target.upload([("bomb.zip", packed.getvalue())]))


ATTACKS: Final = (Attack("zip, bzip2 member of 500 MB in a few kB", "4xx in 5 s", _bzip2_bomb),)
