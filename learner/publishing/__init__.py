"""Weights on their way out of the learner: what leaves, in which buckets, over which transport."""
