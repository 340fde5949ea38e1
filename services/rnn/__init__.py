"""The rnn service: features and positions in, calibrated probabilities of slices and series out."""
