"""Runs as jobs of a Ray cluster that goes on when the terminal is closed: one idea a file.

Only `ray_server.py` knows Ray; the others work with any `JobServer`.
"""
