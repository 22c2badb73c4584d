"""Hypothesis settings of the whole suite: a busy machine is no reason to fail."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "redline", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("redline")
