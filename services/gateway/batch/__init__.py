"""The batch client: a folder of any size to jobs of a bounded size, and their reports to files, over any break."""
