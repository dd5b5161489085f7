"""What reports say of survival over time, and the methods by which `netsynth.pool_survival` pools it."""
