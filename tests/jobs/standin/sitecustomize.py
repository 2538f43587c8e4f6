"""First on PYTHONPATH of the processes that tests of jobs start: they use the stand-in for the engine."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
import dummy

dummy.install(delay=float(os.environ.get("DUMMY_DELAY", "0")))
sys.path.pop(0)
