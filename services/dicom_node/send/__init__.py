"""Sends result objects to destinations by C-STORE or STOW-RS, until they are committed."""
