"""Evaluating a policy: its arms, what is kept of them, tables, pictures and the page."""
