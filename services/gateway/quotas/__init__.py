"""Quotas and rate limits of each sender, whose counters all gateways share in Redis."""
