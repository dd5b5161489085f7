"""What all tests share: `strategies.py` can be imported from every folder; a busy machine fails no test.

The same commit draws the same examples, so that it passes or fails everywhere alike. `make search` draws others.
"""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile(
    "same", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("search", settings.get_profile("same"), derandomize=False, print_blob=True)
settings.load_profile("same")
