"""Demonstrations at scale: from a file of published programs to a file to train on."""
