"""Synthetic head CT: studies drawn from a seed, every voxel's truth known, no patient behind them.

    geometry      where the slices lie and the points at which tissue is asked for
    shapes        the few curves that tissue is made of
    noise         one periodic field of smooth noise, looked up at any wavelength
    atlas         the standard brain, ICBM 152, as fields that are looked up at points
    head          one head's size and form, from its points to the standard brain's
    skull         vault, skull base, scalp and face
    brain         grey and white matter, ventricles, cisterns, sulci, falx and sinuses
    places        points at random in the brain and on the vault
    bleeds        the five kinds of haemorrhage, as fractions of blood at points
    cases         what haemorrhages a study has, how often and where
    mimics        what is bright or dark and no haemorrhage
    acquisition   point spread, beam hardening, noise, streaks, motion
    shifts        studies unlike all others, to measure with
    orders        what may be asked of a study
    study         all of it together: one seed, one study
    dicom_files   a study as DICOM files

Tissue is evaluated point by point at the wanted slices only; no volume is built. Points are in the head's own frame,
which has the directions of DICOM's patient coordinates: x to the left hand, y to the back, z to the crown, in mm, with
the origin between the lateral ventricles.
"""
