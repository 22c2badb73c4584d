"""The main loop of a run: credits, batches, steps, weights out, checkpoints; it knows no Ray."""
