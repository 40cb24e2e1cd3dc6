"""The rig of the end-to-end tests serves the proof as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))
