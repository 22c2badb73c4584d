"""Wrong programs from a model: sampled for published problems, judged, kept as repair tasks."""
