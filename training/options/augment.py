"""How pictures are changed each time that a network is shown them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Augment:
    """How far a picture is changed at most, in either direction, each time that it is shown.

    shift, scale : shares of the picture's side and size
    turn_degrees : about the picture's middle
    window_hu : all windows' centres together
    window_width : share by which all windows are wider or narrower
    """

    flip: bool = True
    shift: float = 0.06
    scale: float = 0.1
    turn_degrees: float = 12.0
    window_hu: float = 4.0
    window_width: float = 0.1
