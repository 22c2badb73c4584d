"""The web page of a run: curves, fleet and trajectories, read from the run directory."""
