"""The filter compiler: its filters do what the table says, simulated and in the kernel."""

import ctypes
import errno
import mmap
import os
import signal
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.sandbox import kernel
from redline.sandbox.bpf import (
    ALLOW,
    KILL,
    FilterProgram,
    OnlyValues,
    WithoutBits,
    compile_filter,
    fail,
)
from redline.sandbox.seccomp import build_filter, install, rules

ARCHITECTURE, FOREIGN = 0xC000_003E, 0x4000_0000
DEFAULT = fail(errno.EPERM)

ACTIONS = st.sampled_from([ALLOW, KILL, fail(errno.EACCES), DEFAULT])
ARGUMENTS = st.integers(0, 5)
WORDS = st.integers(0, 2**32 - 1)
RULES = st.one_of(
    ACTIONS,
    st.builds(
        OnlyValues,
        argument=ARGUMENTS,
        values=st.lists(WORDS, min_size=1, max_size=4).map(tuple),
        otherwise=ACTIONS,
    ),
    st.builds(WithoutBits, argument=ARGUMENTS, bits=WORDS, otherwise=ACTIONS),
)


def simulate(code, number, arguments=(0,) * 6, architecture=ARCHITECTURE):
    """What the kernel would answer: the value of the return that is reached."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *arguments)
    at, accumulator = 0, 0
    while True:
        operation, true, false, operand = struct.unpack_from("<HBBI", code, 8 * at)
        at += 1
        if operation == 0x06:
            return operand
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
            continue
        holds = {
            0x15: accumulator == operand,
            0x35: accumulator >= operand,
            0x45: bool(accumulator & operand),
        }[operation]
        at += true if holds else false


def by_table(table, number, arguments):
    rule = table.get(number, DEFAULT)
    if isinstance(rule, int):
        return rule
    low = arguments[rule.argument] & 0xFFFF_FFFF
    allowed = low in rule.values if isinstance(rule, OnlyValues) else not low & rule.bits
    return ALLOW if allowed else rule.otherwise


@given(
    table=st.dictionaries(st.integers(0, 400), RULES, min_size=1, max_size=40),
    number=st.integers(0, 420),
    arguments=st.tuples(*[st.integers(0, 2**64 - 1)] * 6),
)
def test_a_filter_does_what_its_table_says(table, number, arguments):
    code = compile_filter(table, default=DEFAULT, architecture=ARCHITECTURE, foreign_bit=FOREIGN)
    for each in (number, *table):
        assert simulate(code, each, arguments) == by_table(table, each, arguments)
    assert simulate(code, number, arguments, architecture=0x4000_0003) == KILL
    assert simulate(code, number | FOREIGN, arguments) == KILL


def test_the_sandbox_allows_about_forty_calls():
    allowed = [number for number, rule in rules().items() if rule != KILL and rule == ALLOW]
    assert 40 <= len(allowed) <= 60


def ending_under_filter(act):
    """What the act gives under the sandbox's filter, in a child: an exit status or a signal."""
    pid = os.fork()
    if pid == 0:
        try:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            install(build_filter())
            act()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
        finally:
            os._exit(255)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def machine_code(code):
    """A function of these instructions, in memory that was executable before the filter."""
    area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    area.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))
    function.area = area
    return function


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        pytest.param(b"\xb8\x14\0\0\0\xcd\x80\xc3", signal.SIGSYS, id="int 0x80"),
        pytest.param(b"\xb8\x27\0\0\x40\x0f\x05\xc3", signal.SIGSYS, id="x32 getpid"),
        pytest.param(b"\xb8\x27\0\0\0\x0f\x05\xc3", 0, id="getpid"),
    ],
)
def test_machine_code_cannot_choose_other_numbers(code, ending):
    assert ending_under_filter(machine_code(code)) == ending


@pytest.mark.parametrize(
    ("act", "ending"),
    [
        pytest.param(lambda: os.read(0, 0), 0, id="allowed"),
        pytest.param(lambda: os.open("/", os.O_RDONLY), -errno.EACCES, id="file"),
        pytest.param(os.fork, -errno.EPERM, id="fork"),
        pytest.param(lambda: os.pidfd_open(1), signal.SIGSYS, id="attack"),
    ],
)
def test_the_kernel_answers_as_the_table_says(act, ending):
    assert ending_under_filter(act) == ending


def test_a_filter_that_the_kernel_refuses_is_an_error():
    with pytest.raises(OSError, match="PR_SET_SECCOMP"):
        install(FilterProgram.of(b"\0" * 8))
