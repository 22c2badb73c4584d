"""A compiler from a table of system calls to a seccomp filter in classic BPF.

The table becomes a binary search over the numbers of system calls, so that each call costs about
seven comparisons. Source of the instruction set and of `struct seccomp_data`: the kernel's
`include/uapi/linux/{filter,seccomp}.h`.

Loaded by the fork server; standard library only.
"""

import ctypes
import struct
from collections.abc import Mapping
from dataclasses import dataclass

ALLOW = 0x7FFF0000
KILL = 0x80000000
"""End the whole process with SIGSYS."""
_ERRNO = 0x00050000

_LOAD, _RETURN = 0x20, 0x06
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x15, 0x35, 0x45
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_FARTHEST_JUMP = 255
_INSTRUCTION = struct.Struct("<HBBI")

Code = list[tuple[int, int, int, int]]
"""Instructions: operation, how far to jump if true, if false, operand."""


def fail(code: int) -> int:
    """The action that lets a call fail with this errno."""
    return _ERRNO | code


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyValues:
    """Allow a call if the low 32 bits of one argument are one of these."""

    argument: int
    values: tuple[int, ...]
    otherwise: int

    def code(self) -> Code:
        """Instructions of this rule."""
        left = len(self.values)
        tests = [(_IF_EQUAL, left - at, 0, value) for at, value in enumerate(self.values)]
        return [_load_argument(self.argument), *tests, _give(self.otherwise), _give(ALLOW)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutBits:
    """Allow a call if one argument has none of these low 32 bits."""

    argument: int
    bits: int
    otherwise: int

    def code(self) -> Code:
        """Instructions of this rule."""
        test = (_IF_ANY_BIT, 1, 0, self.bits)
        return [_load_argument(self.argument), test, _give(ALLOW), _give(self.otherwise)]


Rule = int | OnlyValues | WithoutBits
"""What happens to a call: an action, or one that depends on an argument."""


def compile_filter(
    rules: Mapping[int, Rule], *, default: int, architecture: int, foreign_bit: int
) -> bytes:
    """The filter for these system calls.

    Calls of another architecture than this one (an `AUDIT_ARCH` value), and calls whose number has
    the `foreign_bit` or more, kill the process.
    """
    body = _search(_runs(rules, default))
    code: Code = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_IF_EQUAL, 1, 0, architecture),
        _give(KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IF_AT_LEAST, 0, 1, foreign_bit),
        _give(KILL),
        *body,
    ]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)


class FilterProgram(ctypes.Structure):
    """`struct sock_fprog`: what the kernel is given; made once, installed in every child."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    @classmethod
    def of(cls, code: bytes) -> "FilterProgram":
        """A program that keeps its instructions alive."""
        return cls(len(code) // _INSTRUCTION.size, code)


def _runs(rules: Mapping[int, Rule], default: int) -> list[tuple[int, Rule]]:
    """Where each run of numbers with the same rule starts, in order, from 0 on."""
    runs: list[tuple[int, Rule]] = []
    for number in range(max(rules) + 2):
        rule = rules.get(number, default)
        if not runs or runs[-1][1] != rule:
            runs.append((number, rule))
    return runs


def _search(runs: list[tuple[int, Rule]]) -> Code:
    """Instructions that find the run of the number in the accumulator."""
    if len(runs) == 1:
        rule = runs[0][1]
        return [_give(rule)] if isinstance(rule, int) else rule.code()
    middle = len(runs) // 2
    below, above = _search(runs[:middle]), _search(runs[middle:])
    if len(below) > _FARTHEST_JUMP:
        raise ValueError(f"the filter needs a jump over {len(below)} instructions: too many rules")
    return [(_IF_AT_LEAST, len(below), 0, runs[middle][0]), *below, *above]


def _give(action: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, action)


def _load_argument(index: int) -> tuple[int, int, int, int]:
    """Load the low half of an argument; little-endian."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)
