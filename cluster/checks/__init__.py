"""What is asked before anything starts: resources, places, models, and the whole machine."""
