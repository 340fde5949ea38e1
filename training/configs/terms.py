"""Texts of a bundle's card about the RSNA 2019 data."""

from typing import Final

# After RSNA's own page: https://github.com/RSNA/AI-Challenge-Data/wiki/RSNA-Intracranial-Hemorrhage-Detection
RSNA_TERMS: Final = (
    "Brain CT Hemorrhage Dataset, Copyright RSNA, 2019: for non-commercial purposes only, academic research and "
    "education among them; nobody may try to identify or contact those who are seen in it; where it is passed on, cite "
    "Flanders AF et al., Radiology: Artificial Intelligence 2020;2(3):e190211"
)
RSNA_LICENCE: Final = "weights: non-commercial research only, as the data's terms ask; code: Apache-2.0"
RSNA_LIMITS: Final = (
    "Research software, not a medical device; not for diagnosis, triage or any decision about a patient.",
    "Measured on a fold of the data that it learnt from: expect less elsewhere, and measure before use.",
    "Thresholds and temperatures hold for data like the challenge's.",
    "Plain axial head CT of adults.",
)
