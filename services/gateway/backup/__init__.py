"""Backup and restore of jobs, API keys and settings: one tar file with checksums."""
