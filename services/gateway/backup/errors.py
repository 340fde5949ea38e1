"""Failures of a backup or restore. Their messages name the thing and the remedy, and no patient."""


class BackupError(Exception):
    """Nothing was written, or what was there before is there again."""


class DamagedArchive(BackupError):
    """The archive is cut off, changed, or of another form."""
