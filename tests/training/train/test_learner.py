import json
import math
import subprocess
import sys


def test_two_devices_learn_as_one() -> None:
    program = [sys.executable, "-m", "tests.training.train.two_devices"]  # devices are split before TensorFlow begins
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["devices"] == 2
    assert said["learnt"]
    assert said["alike"]
    assert all(math.isfinite(loss) for loss in said["losses"])
