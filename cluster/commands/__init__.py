"""One module per command of the `redline` command line."""
