"""The batch client: sends a folder of any size in jobs of limited size, writes their reports, and can be resumed."""
