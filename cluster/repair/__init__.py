"""`redline repair`: a user's own program, the episodes that repair it, and how that is told."""
