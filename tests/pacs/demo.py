"""The DICOM node beside Orthanc: send the sample series, fetch the results, print the SR, write a fused key slice."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from PIL import Image
from pydicom import Dataset

from services.dicom_node.kinds import Kind
from tests.pacs.orthanc import INSTALL, executable
from tests.pacs.progress import step
from tests.pacs.senders import dcmtk_storescu
from tests.pacs.series import Series, new_series
from tests.pacs.site import NODE, Site, running_site
from tests.pacs.sr_text import sr_lines
from tests.running import ROOT

Objects = Sequence[tuple[Kind, Dataset]]
OUT: Final = ROOT / ".run" / "demo-pacs.png"
_QUIET_S: Final = 3.0
_PATIENCE_S: Final = 180.0
_NAMES: Final[Mapping[str, str]] = {
    "sr": "Comprehensive 3D SR (TID 1500)",
    "text_sr": "Basic Text SR",
    "secondary_capture": "Secondary Capture of key slices",
    "segmentation": "Segmentation of the blood map",
    "key_objects": "Key Object Selection",
}
_NOT_INSTALLED: Final = f"""Orthanc, the PACS of this demo, is not installed here.
  Debian, Ubuntu:  {INSTALL}
  containers:      docker compose --profile ohif up    (Orthanc, the node and a viewer)"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.pacs.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="PNG of the fused key slice (%(default)s)")
    out: Path = parser.parse_args(arguments).out
    if out.suffix != ".png":
        parser.error(f"--out {out}: name a file that ends in .png")
    try:
        executable()
    except LookupError:
        print(_NOT_INSTALLED)
        return 1
    with tempfile.TemporaryDirectory(prefix="ich-pacs-") as folder, ExitStack() as stack:
        _show(_results(Path(folder), stack), out)
    return 0


def _results(folder: Path, stack: ExitStack) -> Objects:
    """Start all, send the series, and fetch its results."""
    print("\n  Orthanc as the PACS, and the DICOM node. Research software, not a medical device.\n", flush=True)
    with step("Start Orthanc, the services and the node", lambda: ""):
        site = stack.enter_context(running_site(folder, _QUIET_S))
    stack.callback(_clean, site)
    series = new_series(folder / "series")
    sender = "storescu" if dcmtk_storescu() else "pynetdicom, without dcmtk"
    with step(f"Send {len(series.files)} slices to {NODE}, port {site.dicom_port}", lambda: sender):
        site.send(series)
    with step("Assess, build and send the results", lambda: _state(site, series)):
        site.wait_for_results(series, _PATIENCE_S)
    with step("Fetch them from Orthanc", lambda: "QIDO-RS, WADO-RS"):
        return site.pacs.fetch(series.study_uid)


def _state(site: Site, series: Series) -> str:
    return (site.steps(series) or ["received"])[-1]


def _clean(site: Site) -> None:
    """Remove the folders of this run, whose ports no other one has."""
    for folder in (site.product.node_dir, site.product.jobs_dir):
        shutil.rmtree(folder, ignore_errors=True)


def _show(objects: Objects, out: Path) -> None:
    print()
    for kind, name in _NAMES.items():
        count = len(_of(objects, kind))
        print(f"    {name}{f', {count} objects' if count > 1 else ''}")
    print("\n" + "\n".join(f"    {line}" for line in sr_lines(_of(objects, "sr")[0])) + "\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_of(objects, "secondary_capture")[0].pixel_array).save(out)
    print(f"  Fused key slice: {out}")
    print("  Your own PACS: docs/how-to/connect-a-pacs.md\n", flush=True)


def _of(objects: Objects, kind: str) -> list[Dataset]:
    """The objects of a kind, in the order of their series."""
    return sorted((dataset for each, dataset in objects if each == kind), key=lambda dataset: dataset.InstanceNumber)


if __name__ == "__main__":
    sys.exit(main())
