"""Classifies ConvolutionKernel (PS3.3 C.8.2.1) as soft, for brain, or sharp, for bone.

Vendors name kernels differently: GE uses words, Siemens one to three letters and a number up to 99 from soft to sharp,
Canon FC and a number, Philips letters. An unknown name is neither.
"""

import re
from typing import Final, NamedTuple

from services.common.schemas import KernelKind

_SHARP: Final = re.compile(r"BONE(PLUS)?|EDGE|LUNG|ULTRA|SHARP|\bIAC\b|^Y?[DEF]$|^L$|^FC[358]\d\b")
_SOFT: Final = re.compile(r"BRAIN|HEAD|CEREB|STD|STAND(ARD)?|SOFT|SMOOTH|^U?[AB]$|^FC[0-26]\d\b")
_COUNTED: Final = re.compile(r"^(?!FC)[A-Z]{1,2}(\d{2})[A-Z]?$")
_SHARP_FROM: Final = 55


class Kernel(NamedTuple):
    """The kind of a kernel, and the known part of its name: the rest may be free text."""

    kind: KernelKind
    word: str


def read_kernel(name: str) -> Kernel:
    """The kind of a kernel, by its name."""
    name = name.upper().strip()
    if counted := _COUNTED.match(name):
        return Kernel("sharp" if int(counted[1]) >= _SHARP_FROM else "soft", counted[0])
    if sharp := _SHARP.search(name):
        return Kernel("sharp", sharp[0])
    soft = _SOFT.search(name)
    return Kernel("soft", soft[0]) if soft else Kernel("unknown", "")
