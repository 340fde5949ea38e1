"""Readers' feedback on reports: agree, disagree or uncertain, by label, for a series or one of its slices."""
