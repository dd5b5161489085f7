"""What all tests share: `strategies.py` can be imported from every folder; a busy machine fails no test."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("netsynth", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("netsynth")
