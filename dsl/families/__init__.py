"""Families of small functions with prompts, references and test inputs."""

from redline.dsl.families import dicts, lists, numbers, recursion, strings
from redline.dsl.families.base import FAMILIES, KINDS, Draft, Family

__all__ = [
    "FAMILIES", "KINDS", "Draft", "Family", "dicts", "lists", "numbers", "recursion", "strings",
]  # fmt: skip
