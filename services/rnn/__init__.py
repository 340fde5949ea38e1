"""Features and positions in, calibrated probabilities of each slice and of the series out."""
