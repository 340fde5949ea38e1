"""The samples of the repository: a synthetic series with a clear haemorrhage, and one of its slices."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from training.data.pictures import picture
from training.phantom.dicom_files import dicom_files
from training.phantom.haemorrhages import Blood, Haematoma
from training.phantom.study import Study, draw_patient, make_study
from training.phantom.study_options import StudyOptions

LOG = logging.getLogger(__name__)
SEED: Final = 8_000_038  # outside the seeds of training and test phantoms
SLICES: Final = 28
SPACING_MM: Final = 5.0
BLEED: Final = Haematoma(
    centre_mm=(-28.0, 2.0, 9.0),
    radii_mm=(15.0, 21.0, 16.0),
    roughness=0.15,
    oedema_hu=-8.0,
    oedema_mm=5.0,
    blood=Blood(hu=66.0, mottle_hu=3.0, seed=5),
)

README: Final = """\
# Samples

A synthetic head CT of 28 slices with an intraparenchymal haemorrhage. No patient is behind it. Licence: Apache-2.0.

| path | content |
|---|---|
| `series/` | the series, as DICOM |
| `slice.dcm` | the slice with the largest haemorrhage, as DICOM |
| `slice.png` | the same slice as the networks see it: bone, subdural and soft-tissue window |

`make samples` writes the same files again.
"""


def write(folder: Path) -> None:
    """Write the samples; replaces files of the same names."""
    study = sample_study()
    files = dicom_files(study, "ich sample")
    (folder / "series").mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files, 1):
        (folder / "series" / f"{number:02d}.dcm").write_bytes(file)
    largest = int(study.masks.sum(axis=(1, 2, 3), dtype=np.int64).argmax())
    (folder / "slice.dcm").write_bytes(files[largest])
    shown = picture(study.hu[largest], study.scan.pixel_mm)
    Image.fromarray(shown).save(folder / "slice.png", optimize=True)
    (folder / "README.md").write_text(README)
    LOG.info("%s: %d slices, blood in %d of them", folder, len(files), int(study.labels[:, 0].sum()))


def sample_study() -> Study:
    """The study of the samples: 28 slices, 5 mm apart."""
    patient = draw_patient(SEED, StudyOptions(kinds=()))
    position_mm = tuple(-66 + SPACING_MM * index for index in range(SLICES))
    scan = replace(patient.scan, position_mm=position_mm, thickness_mm=SPACING_MM)
    brain = patient.brain.with_mass_effects(BLEED.mass_effects())
    return make_study(replace(patient, scan=scan, brain=brain, haemorrhages=(BLEED,)))
