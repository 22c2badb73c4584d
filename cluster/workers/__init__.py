"""The elastic fleets of a run: workers that come, are proven, fail, are replaced and leave."""
