"""`python -m services.gateway.jobs.worker`: processes tickets of the queue, each in a process of its own."""

import argparse
import gc
import logging
import sys
from collections.abc import Sequence
from functools import partial

from redis.exceptions import RedisError
from rq.serializers import JSONSerializer

from services.common.observability import configure_logging
from services.common.private_folder import UnsafeFolder, make_private, restrict_umask
from services.common.tracing import configure_tracing
from services.gateway.jobs.connection import connect_redis
from services.gateway.jobs.object_storage import remove_unused_copies
from services.gateway.jobs.scheduler import queue_name
from services.gateway.jobs.schemas import PRIORITIES
from services.gateway.jobs.store import COPIES
from services.gateway.jobs.tasks import read_settings, read_site_severities, warm_up
from services.gateway.jobs.ticket_worker import TicketWorker

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Process tickets until SIGTERM or SIGINT; the ticket in progress is finished first."""
    parser = argparse.ArgumentParser(prog="python -m services.gateway.jobs.worker", description=__doc__)
    parser.add_argument(
        "queues",
        nargs="*",
        default=list(PRIORITIES),
        help="urgent, routine: queues to serve, in this order (both)",
    )
    queues = parser.parse_args(arguments).queues
    if unknown := set(queues) - set(PRIORITIES):
        parser.error(f"unknown queue {', '.join(sorted(unknown))}; queues are {', '.join(PRIORITIES)}")
    configure_logging("worker")
    configure_tracing("worker")
    for name in ("rq", "rq.worker"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        _work([queue_name(priority) for priority in queues])
    except RedisError:
        log.error("Redis cannot be reached: check ICH_GATEWAY_REDIS_URL and ICH_GATEWAY_REDIS_PASSWORD_FILE")  # noqa: TRY400 - the traceback adds nothing
        return 1
    except UnsafeFolder as error:
        log.error(str(error))  # noqa: TRY400
        return 1
    return 0


def _work(queues: list[str]) -> None:
    restrict_umask()
    settings = read_settings()
    make_private(settings.jobs_dir, "ICH_GATEWAY_JOBS_DIR")
    redis = connect_redis(settings)
    read_site_severities()
    worker = TicketWorker(queues, connection=redis, serializer=JSONSerializer, log_job_description=False)
    if settings.jobs_url:
        worker.clean_up = partial(remove_unused_copies, settings.jobs_dir / COPIES)
    worker.clean_up()  # after a worker that was killed
    warm_up()
    gc.freeze()  # forked processes share the memory of objects that are never collected
    log.info("working", extra={"fields": {"queues": queues}})
    worker.work(with_scheduler=False, logging_level=None)


if __name__ == "__main__":
    sys.exit(main())
