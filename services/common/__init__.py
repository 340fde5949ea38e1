"""What at least two parts of the system agree on, and nothing else."""
