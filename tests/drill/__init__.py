"""`make drill`: breaks parts of a running product on purpose, and counts lost and duplicate reports afterwards."""
