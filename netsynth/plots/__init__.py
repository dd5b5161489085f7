"""Results to matplotlib axes. A plot takes a result, returns the Axes, and computes no statistic."""
