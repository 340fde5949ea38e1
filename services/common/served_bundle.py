"""The bundle that a service loads: verified, and copied to a folder of this process alone while it is hashed.

A network is loaded from the copy, so the loaded bytes are the hashed bytes, whatever happens to the bundle's folder
meanwhile. The copy lies in the temporary folder, readable by this user only, and is removed after loading.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from services.common.bundle_files import BundleFault
from services.common.bundle_signature import TrustedKeys
from services.common.card import Bundle, BundleError, Part, open_bundle
from services.common.engines import EngineUnavailable
from services.common.reference import REFERENCE

log = logging.getLogger(__name__)


@contextmanager
def served_bundle(folder: Path, keys: Path | None, part: Part) -> Iterator[Bundle]:
    """The verified bundle, whose `folder` is the private copy of one network and the reference.

    SystemExit where the bundle is refused, or no engine can run the network.
    """
    try:
        with private_copy(folder, keys, part) as bundle:
            fields = {"name": bundle.card.name, "card_sha256": bundle.card_sha256, "signed_by": bundle.signed_by}
            log.info("bundle", extra={"fields": fields})
            yield bundle
    except BundleError as error:
        log.error("the bundle is refused: %s", error)  # noqa: TRY400 - the traceback adds nothing
        raise SystemExit(1) from None
    except EngineUnavailable as error:
        log.error("%s cannot be run: %s", part, error)  # noqa: TRY400
        raise SystemExit(1) from None


@contextmanager
def private_copy(folder: Path, keys: Path | None, part: Part) -> Iterator[Bundle]:
    """Verify a bundle, and copy one network and the reference to a temporary folder.

    Parameters
    ----------
    keys : file of trusted public keys: one of them must have signed the card; None accepts an unsigned bundle

    Raises
    ------
    BundleError
        as `open_bundle`, or the file of keys is unusable
    """
    try:
        trusted = TrustedKeys.read(keys) if keys else None
    except BundleFault as error:
        raise BundleError(str(error)) from None
    with TemporaryDirectory(prefix="ich-bundle-") as copy:

        def copies(name: str) -> BinaryIO | None:
            path = Path(copy, name)
            if name != REFERENCE and not name.startswith(f"{part}/"):
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("xb")

        bundle = open_bundle(folder, trusted, copies)
        yield bundle.model_copy(update={"folder": Path(copy)})
