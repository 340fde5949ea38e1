"""The cnn service: slices in, one feature vector per slice out."""
