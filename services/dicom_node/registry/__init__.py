"""The durable table of received series, their assessments, result objects and deliveries (SQLite in WAL mode)."""
