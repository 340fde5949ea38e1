"""Pictures of single slices, rendered on demand from the files of a job."""
