"""Synthetic head CT: studies drawn from a seed, with the ground truth of every voxel and without any patient.

    geometry            positions of slices, and the points at which tissue is evaluated
    shapes              curves that compose tissue
    noise               one periodic field of smooth noise, sampled at any wavelength
    atlas               the standard brain, ICBM 152, as fields sampled at points
    head                size and form of a head: maps its points to the standard brain
    skull               vault, skull base, scalp and face
    brain               grey and white matter, ventricles, cisterns, sulci, falx and sinuses
    locations           random points in the brain and on the vault
    haemorrhages        the five kinds of haemorrhage, as fractions of blood at points
    findings            frequency, size and location of haemorrhages
    mimics              bright or dark structures that are no haemorrhage
    acquisition         point spread, beam hardening, noise, streaks, motion
    shifts              studies outside the usual ranges, for evaluation
    study_options       options of a study
    study               one study from one seed
    dicom_files         a study as DICOM files

Tissue is evaluated point by point at the requested slices only; no volume is built. Points are in the head's frame, in
mm, with the axes of DICOM's patient coordinates (x to the left, y to posterior, z to the head) and the origin between
the lateral ventricles.
"""
