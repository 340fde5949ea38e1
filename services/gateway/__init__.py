"""The public API and its page: takes uploads, chains the three stages, answers with a report."""

import sys

# redis imports these metrics where they are installed, which costs each process 27 ms and 2 MB; nothing uses them.
sys.modules.setdefault("opentelemetry.sdk.metrics", None)  # type: ignore[arg-type] # None forbids an import
