"""The worklist: all series of all jobs that a caller may read, from an index that is rebuilt from the jobs."""
