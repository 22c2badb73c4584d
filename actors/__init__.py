"""Rollout side: the episode loop, the vLLM sampler, sandbox and replay actors, evaluation."""
