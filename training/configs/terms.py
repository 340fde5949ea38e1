"""What a bundle's card says of data that were not made here."""

from typing import Final

RSNA_TERMS: Final = (
    "RSNA 2019 Brain CT Hemorrhage Challenge: for academic research and education and other non-commercial purposes; "
    "cite Flanders et al., Radiology: AI 2020;2(3):e190211; the licence of the challenge holds for what is made of it"
)
RSNA_LICENCE: Final = "weights: non-commercial research only, as the data's terms ask; code: Apache-2.0"
RSNA_LIMITS: Final = (
    "Research software, not a medical device; not for diagnosis, triage or any decision about a patient.",
    "Measured on a fold of the data that it learnt from: expect less elsewhere, and measure before use.",
    "Thresholds and temperatures hold for data like the challenge's.",
    "Plain axial head CT of adults.",
)
