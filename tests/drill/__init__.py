"""`make drill`: what breaks is broken on purpose, and what was accepted is counted afterwards."""
