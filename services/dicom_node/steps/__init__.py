"""The way of a received series to its result objects: complete, submitted, reported, built."""
