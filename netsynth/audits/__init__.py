"""The checks of `netsynth.audit`, a module for each kind of number."""
