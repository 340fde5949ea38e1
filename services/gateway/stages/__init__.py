"""Calls preprocess, cnn and rnn, and checks their responses."""
