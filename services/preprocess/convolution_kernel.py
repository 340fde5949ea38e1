"""Which reconstruction kernels are soft, for brain, and which are sharp, for bone.

Every vendor has names of its own (ConvolutionKernel, PS3.3 C.8.2.1): GE spells them out, Siemens counts up to 99 from
soft to sharp behind one to three letters, Canon writes FC and a number, Philips letters. An unknown name is neither.
"""

import re
from typing import Final, NamedTuple

from services.common.schemas import KernelKind

_SHARP: Final = re.compile(r"BONE(PLUS)?|EDGE|LUNG|ULTRA|SHARP|\bIAC\b|^Y?[DEF]$|^L$|^FC[358]\d\b")
_SOFT: Final = re.compile(r"BRAIN|HEAD|CEREB|STD|STAND(ARD)?|SOFT|SMOOTH|^U?[AB]$|^FC[0-26]\d\b")
_COUNTED: Final = re.compile(r"^(?!FC)[A-Z]{1,2}(\d{2})[A-Z]?$")
_SHARP_FROM: Final = 55


class Kernel(NamedTuple):
    """What a kernel is made for; `word` is what of its name is known, for the rest of it could be anything."""

    kind: KernelKind
    word: str


def read_kernel(name: str) -> Kernel:
    """What a kernel is made for, by its name."""
    name = name.upper().strip()
    if counted := _COUNTED.match(name):
        return Kernel("sharp" if int(counted[1]) >= _SHARP_FROM else "soft", counted[0])
    if sharp := _SHARP.search(name):
        return Kernel("sharp", sharp[0])
    soft = _SOFT.search(name)
    return Kernel("soft", soft[0]) if soft else Kernel("unknown", "")
