"""Which reconstruction kernels are soft, for brain, and which are sharp, for bone.

Every vendor has names of its own (ConvolutionKernel, PS3.3 C.8.2.1): GE spells them out, Siemens counts up to 99 from
soft to sharp behind one to three letters, Canon writes FC and a number, Philips letters. An unknown name is neither.
"""

import re
from typing import Final, Literal

Kind = Literal["soft", "sharp", "unknown"]

_SHARP: Final = re.compile(r"BONE|EDGE|LUNG|ULTRA|SHARP|\bIAC\b|^Y?[DEF]$|^L$|^FC[358]\d")
_SOFT: Final = re.compile(r"BRAIN|HEAD|CEREB|STD|STAND|SOFT|SMOOTH|^U?[AB]$|^FC[0-26]\d")
_COUNTED: Final = re.compile(r"^[A-Z]{1,2}(\d{2})[A-Z]?$")
_SHARP_FROM: Final = 55
_CANON: Final = "FC"


def kernel_kind(kernel: str) -> Kind:
    """What a kernel is made for, by its name."""
    name = kernel.upper().strip()
    counted = _COUNTED.match(name)
    if counted and not name.startswith(_CANON):
        return "sharp" if int(counted[1]) >= _SHARP_FROM else "soft"
    if _SHARP.search(name):
        return "sharp"
    return "soft" if _SOFT.search(name) else "unknown"
