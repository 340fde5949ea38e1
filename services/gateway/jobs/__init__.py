"""Jobs: any number of series in one upload, processed by workers.

The storage alone holds the state of jobs. Redis holds tickets and counters, and may be emptied without a loss.
"""
