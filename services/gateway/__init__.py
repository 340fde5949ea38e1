"""The public API and its page: takes uploads, chains the three stages, answers with a report."""
