"""Options of the random changes of pictures in training. Pictures are drawn anew each time that a network sees them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PhantomAugment:
    """Limits of `RandomScanner` and `RandomAffine`, for small pictures of phantoms.

    noise_hu : largest standard deviation of added noise
    grain : largest share of noise over 3 x 3 pixels; above 1, of noise over 5 x 5 pixels
    slow_hu : largest standard deviation of slow variation across the picture
    kernel : change sharpness as a reconstruction kernel does, bone included
    turn_deg : largest rotation; 0 for no affine transform
    """

    noise_hu: float = 2.5
    grain: float = 0.0
    slow_hu: float = 0.0
    kernel: bool = False
    turn_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class SliceAugment:
    """Limits of `RandomSlice`, in either direction, for slices of 512 x 512 pixels.

    shift, scale : shares of the picture's side and size
    turn_degrees : about the picture's middle
    window_hu : of all windows' centres together
    window_width : share by which all windows are wider or narrower
    """

    flip: bool = True
    shift: float = 0.06
    scale: float = 0.1
    turn_degrees: float = 12.0
    window_hu: float = 4.0
    window_width: float = 0.1
