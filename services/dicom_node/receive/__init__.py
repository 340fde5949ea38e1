"""Receives SOP instances by C-STORE and STOW-RS, as they are, without decoding pixels."""
