"""The audit log: one JSON line for each access to patient data, in a chain of hashes for each process.

`events` names the audited operations, `middleware` records requests, `chain` seals lines, `file` writes and rotates
them, `log` orders them, `heads` publishes the last hash elsewhere, and `verify` checks files.
"""
