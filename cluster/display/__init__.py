"""What a user sees on a terminal while work goes on."""
