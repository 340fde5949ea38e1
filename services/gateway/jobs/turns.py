"""Compatibility alias of `tasks.run_ticket`: Redis may hold calls of older builds. Remove it in version 0.4."""

from services.gateway.jobs.tasks import run_ticket

take_turn = run_ticket
