"""Arrays in, arrays out: the part to check against the literature. numpy and scipy only."""
