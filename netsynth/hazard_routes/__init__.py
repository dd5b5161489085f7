"""The ways of `netsynth.hazard_ratio` from what a study prints to a log hazard ratio, and the choice among them."""
