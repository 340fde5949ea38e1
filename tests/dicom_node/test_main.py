"""The command line of the node."""

import os
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT


def test_a_mistake_in_the_peers_file_stops_the_start_with_one_line(tmp_path: Path) -> None:
    peers = tmp_path / "peers.toml"
    peers.write_text("[peers.pacs]\nprot = 104\n")
    settings = {"ICH_NODE_PEERS_FILE": str(peers), "ICH_NODE_DATA_DIR": str(tmp_path / "node")}
    command = [sys.executable, "-m", "services.dicom_node", "serve", "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dicom_node: {peers}, [peers.pacs]: prot is unknown")
    assert len(done.stderr.splitlines()) == 1
