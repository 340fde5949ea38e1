"""The path of the function that version 0.2.0 queued: Redis may hold its calls when this version starts."""

from services.gateway.jobs.tasks import run_ticket

take_turn = run_ticket
