"""The editor language: commands, grammar, editor; tasks and how they are made."""
