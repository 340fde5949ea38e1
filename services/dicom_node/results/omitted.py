"""Result objects that an assessment does not have, for a reason that is no failure."""


class Omitted(Exception):
    """There is nothing to show in this kind; the message says why, without patient data."""


class TooLarge(Exception):
    """An object would exceed the limit that the message names; the site asked for it, so this counts as a failure."""
