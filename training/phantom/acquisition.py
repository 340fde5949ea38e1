"""Image of tissue by a scanner: point spread, beam hardening, cupping, noise, offset and gain."""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from training.phantom.beam_hardening import hardening_hu
from training.phantom.geometry import SIZE
from training.phantom.shapes import Floats

METAL_HU = 2200


@dataclass(frozen=True, slots=True)
class Scanner:
    """Properties of a scanner. Lengths are in pixels of the phantom's grid."""

    blur_pixels: float
    sharpening: float
    noise_hu: float
    noise_grain_pixels: float
    tail_hu: float  # added by dense bone to tissue within a few pixels
    glow_hu: float  # added farther away
    glow_pixels: float
    hardening: float  # strength of beam hardening; 3 is a scanner that corrects for water only
    bands_hu: float  # dark and bright bands along the rows
    cupping_hu: float
    streaks_hu: float  # around metal
    ghost: float  # share of a second image, displaced by motion
    ghost_pixels: tuple[int, int]
    offset_hu: float
    gain: float
    outside_hu: int  # value outside the circle of reconstruction


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Draw a scanner and its settings."""
    return Scanner(
        blur_pixels=float(rng.uniform(0.35, 0.95)),
        sharpening=float(rng.choice([0, rng.uniform(0, 0.3)])),
        noise_hu=float(np.clip(rng.lognormal(np.log(3), 0.5), 1.2, 8)),
        noise_grain_pixels=float(rng.uniform(0.3, 1.1)),
        tail_hu=float(rng.choice([rng.uniform(0, 160), rng.uniform(160, 320)], p=[0.75, 0.25])),
        glow_hu=float(rng.choice([rng.uniform(0, 110), rng.uniform(110, 220)], p=[0.85, 0.15])),
        glow_pixels=float(rng.uniform(4, 10)),
        hardening=float(rng.choice([rng.uniform(0, 1), rng.uniform(1, 3.5)], p=[0.4, 0.6])),
        bands_hu=float(rng.choice([0, rng.uniform(0, 12)])),
        cupping_hu=float(rng.uniform(-4, 4)),
        streaks_hu=float(rng.uniform(10, 60)),
        ghost=float(rng.choice([0, rng.uniform(0.1, 0.4)], p=[0.93, 0.07])),
        ghost_pixels=(int(rng.integers(-5, 6)), int(rng.integers(-5, 6))),
        offset_hu=float(rng.normal(0, 3)),
        gain=float(rng.normal(1, 0.05)),
        outside_hu=int(rng.choice([0, -1024, -2000, -3024], p=[0.7, 0.1, 0.1, 0.1])),
    )


def acquire(scanner: Scanner, hu: Floats, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return the image, (SIZE, SIZE) int16 Hounsfield units, of one slice's tissue (SIZE, SIZE) float32."""
    if scanner.ghost:
        hu = hu + np.float32(scanner.ghost) * (np.roll(hu, scanner.ghost_pixels, (0, 1)) - hu)
    picture = _blurred(scanner, hu)
    soft = np.clip(hu + 1000, 0, 1000) / np.float32(1000)
    faults = _bands(scanner, hu, rng) + _cupping(scanner) + _streaks(scanner, hu, rng)
    picture += soft * (faults + np.float32(scanner.hardening) * hardening_hu(hu))
    picture += _noise(scanner, rng) * (0.3 + 0.7 * soft)
    picture = picture * np.float32(scanner.gain) + np.float32(scanner.offset_hu) * soft
    if scanner.outside_hu:
        picture[_radius() > 1] = scanner.outside_hu
    return np.rint(np.clip(picture, -3024, 3071)).astype(np.int16)


def _blurred(scanner: Scanner, hu: Floats) -> Floats:
    """Apply point spread and the glow of bone in one pass in the frequency domain."""
    spread, glow = _transfer(scanner)
    bone = np.clip(hu - 150, 0, 900) * np.float32(1 / 900)
    seen = np.fft.rfft2(hu)
    seen *= spread
    seen += np.fft.rfft2(bone) * glow
    picture: Floats = np.fft.irfft2(seen, s=hu.shape).astype(np.float32, copy=False)
    return picture


@lru_cache(maxsize=2)
def _transfer(scanner: Scanner) -> tuple[Floats, Floats]:
    """Transfer functions of tissue and of the glow of bone, in the layout of `rfft2`."""
    squares = _frequency() ** 2
    spread = np.exp(-2 * (np.pi * scanner.blur_pixels) ** 2 * squares)
    spread = spread * (1 + scanner.sharpening * (1 - np.exp(-2 * (np.pi * 1.2) ** 2 * squares)))
    near = scanner.tail_hu * np.exp(-2 * (np.pi * 2) ** 2 * squares)
    far = scanner.glow_hu * np.exp(-2 * (np.pi * scanner.glow_pixels) ** 2 * squares)
    return spread, (near + far).astype(np.float32)


def _bands(scanner: Scanner, hu: Floats, rng: np.random.Generator) -> Floats:
    """Bands along rows; stronger where a row crosses more bone."""
    crossed = np.clip(hu - 300, 0, 1200).sum(axis=1) * np.float32(1 / 60000)
    wave = np.convolve(rng.standard_normal(SIZE), np.hanning(9), mode="same") * 0.6
    rows = np.float32(scanner.bands_hu) * np.clip(crossed - 0.5, 0, 2) * wave
    return np.broadcast_to(rows.astype(np.float32)[:, None], hu.shape)


def _streaks(scanner: Scanner, hu: Floats, rng: np.random.Generator) -> Floats:
    """Bright and dark rays around metal."""
    rows, columns = np.nonzero(hu > METAL_HU)
    if not rows.size:
        return np.zeros((1, 1), np.float32)
    down = np.arange(SIZE, dtype=np.float32)[:, None] - rows.mean(dtype=np.float32)
    right = np.arange(SIZE, dtype=np.float32)[None] - columns.mean(dtype=np.float32)
    rays = np.convolve(rng.standard_normal(360), np.hanning(7), mode="same")
    turn = ((np.arctan2(down, right) + np.pi) * (359 / (2 * np.pi))).astype(np.int32)
    fading = np.float32(scanner.streaks_hu) / (1 + np.hypot(down, right) / 12)
    streaks: Floats = (rays.astype(np.float32)[turn] * fading).astype(np.float32)
    return streaks


def _cupping(scanner: Scanner) -> Floats:
    return np.float32(scanner.cupping_hu) * (_radius() ** 2 - np.float32(0.3))


def _noise(scanner: Scanner, rng: np.random.Generator) -> Floats:
    white = np.fft.rfft2(rng.standard_normal((SIZE, SIZE), dtype=np.float32))
    white *= _noise_spectrum(scanner.noise_grain_pixels)
    noise: Floats = np.fft.irfft2(white, s=(SIZE, SIZE)).astype(np.float32, copy=False)
    noise *= np.float32(scanner.noise_hu / noise.std())
    return noise


@lru_cache(maxsize=2)
def _noise_spectrum(grain_pixels: float) -> Floats:
    """Noise of filtered back-projection: low at the lowest frequencies, with a roll-off at the highest."""
    frequency = _frequency()
    spectrum: Floats = np.sqrt(frequency + 0.01) * np.exp(-2 * (np.pi * grain_pixels) ** 2 * frequency**2)
    return spectrum


@cache
def _frequency() -> Floats:
    """Frequencies in cycles a pixel, in the layout of `rfft2`."""
    cycles: Floats = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]).astype(np.float32)
    return cycles


@cache
def _radius() -> Floats:
    """Distance from the image's centre; 1 at the middle of its edges."""
    steps = np.linspace(-1, 1, SIZE, dtype=np.float32)
    return np.hypot(steps[:, None], steps[None])
