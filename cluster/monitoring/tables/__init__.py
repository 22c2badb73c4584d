"""The metrics, one table per part of the system."""
