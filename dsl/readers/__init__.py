"""Readers of published data: one file per format, each giving `RepairTask` records.

`detect.format_of` finds the format by the fields of a file's first object.
"""
