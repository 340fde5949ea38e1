"""Sends files to an AE on one association, prints their number, and keeps the association open."""

import sys
import time
from collections.abc import Sequence

from pydicom import dcmread
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from tests.pacs.senders import CALLING


def main(arguments: Sequence[str]) -> None:
    """Send the files to the AE on the port, then wait to be killed."""
    port, called, *files = arguments
    ae = ApplicationEntity(CALLING)
    ae.add_requested_context(CTImageStorage)
    association = ae.associate("127.0.0.1", int(port), ae_title=called)
    done = [association.send_c_store(dcmread(file)).Status for file in files]
    print(done.count(0), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1:])
