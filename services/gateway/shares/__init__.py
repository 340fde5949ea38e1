"""Fair shares: slices, uploads, turns and guesses of keys that each client may have."""
