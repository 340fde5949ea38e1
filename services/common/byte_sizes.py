"""Numbers of bytes as text."""

from typing import Final

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_LONG: Final = 999.5  # from here on, three digits would need an exponent


def format_bytes(count: int) -> str:
    """A number of bytes in the largest binary unit (IEC 80000-13), to three digits: "1.5 GiB"."""
    value, units = float(max(count, 0)), iter(_UNITS)
    unit = next(units)
    for larger in units:
        if value < _STEP:
            break
        value, unit = value / _STEP, larger
    return f"{value:.0f} {unit}" if value >= _LONG else f"{value:.3g} {unit}"
