"""Programs that attack the sandbox, each with how it must end; what runs them is `run_threats`.

A program defines `f`. `ending` is the name of an errno, or another value that `f` has to return as
a sign that its act failed; or a status of its test, for what ends it; `crash (SIGSYS)` and the like
say by which signal. VICTIM, PORT, LISTENER and CANARY stand for a process of the sandbox's own
user, a listening port, a listening socket in the abstract namespace, and a file that anybody may
read.
"""

from dataclasses import dataclass

PRELUDE = """
import ctypes, errno, fcntl, os, signal, socket, sys, _thread
libc = ctypes.CDLL(None, use_errno=True)
NULL = None
def call(number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *arguments) >= 0
    return "allowed" if done else errno.errorcode[ctypes.get_errno()]
def attempt(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    except Exception as error:
        return type(error).__name__
    return "allowed"
"""

STATUSES = ("timeout", "memory", "output", "exception", "crash", "protocol", "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """One attack."""

    name: str
    body: str
    ending: str

    @property
    def program(self) -> str:
        return PRELUDE + "def f():\n" + "".join(f"    {line}\n" for line in self.body.split("\n"))

    @property
    def test(self) -> str:
        expected = "no such value" if self.by_status else self.ending
        return f"assert f() == {expected!r}"

    @property
    def by_status(self) -> bool:
        return self.ending.startswith(STATUSES)

    def held(self, status: str, detail: str) -> bool:
        """Whether the attack ended as it must."""
        if not self.by_status:
            return status == "pass"
        statuses, _, told = self.ending.partition(" ")
        return status in statuses.split("|") and told in detail


def _raw(number: int, *arguments: object) -> str:
    listed = "".join(f", {argument}" for argument in arguments)
    return f"return call({number}{listed})"


def _act(expression: str) -> str:
    return f"return attempt(lambda: {expression})"


_KILLED = "crash (SIGSYS)"
_SEARCH = """\
import gc
seen, found = set(), set()
frame = sys._getframe()
todo = list(gc.get_objects()) + list(sys.modules.values())
while frame is not None:
    todo += [frame.f_locals, frame.f_globals, frame.f_code.co_consts]
    frame = frame.f_back
while todo and len(seen) < 300_000:
    each = todo.pop()
    if id(each) in seen: continue
    seen.add(id(each))
    if isinstance(each, str) and each.startswith("no such") and len(each) > 8: found.add(each)
    elif type(each) is bytes and b"no such" + b" value" in each: found.add(each)
    elif type(each) is dict: todo += list(each.values())
    elif type(each) in (list, tuple, set, frozenset): todo += list(each)
    elif type(each).__name__ == "code": todo += list(each.co_consts)
return sorted(map(str, found))"""
# Memory cannot be made executable, so the instruction is looked for where it happens to lie; a C
# library without it meets the other way to foreign numbers.
_INT_80 = """\
start = ctypes.cast(libc.abort, ctypes.c_void_p).value
at = ctypes.string_at(start, 1_000_000).find(b"\\xcd\\x80")
return str(ctypes.CFUNCTYPE(ctypes.c_int)(start + at)()) if at > 0 else call(0x4000_0000)"""

_LIST = {
    # time
    "endless loop": ("while True: pass", "timeout"),
    "big power": ("return 7 ** (7 ** 12)", "timeout"),
    "catastrophic regex": ("import re; re.match(r'(a+)+$', 'a' * 40 + 'b')", "timeout"),
    "all signals ignored": (
        "for n in set(signal.Signals) - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
        "while True: pass",
        "timeout",
    ),
    "timer removed": ("signal.setitimer(signal.ITIMER_PROF, 0)\nwhile True: pass", "timeout"),
    "sleep": ("import time; time.sleep(60)", "timeout"),
    "stop itself": (_act("os.kill(os.getpid(), signal.SIGSTOP)"), "EPERM"),
    # processes
    "fork": (_act("os.fork()"), "EPERM"),
    "fork bomb": (_act("[os.fork() for _ in iter(int, 1)]"), "EPERM"),
    "daemon": (_act("os.fork() or (os.setsid(), os.fork())"), "EPERM"),
    "vfork": (_raw(58), "EPERM"),
    "clone": (_raw(56, 17, 0, 0, 0, 0), "EPERM"),
    "clone with namespaces": (_raw(56, 0x1000_0011, 0, 0, 0, 0), "EPERM"),
    "clone3": (_raw(435, "bytes(88)", 88), "EPERM"),
    "thread": (_act("_thread.start_new_thread(int, ())"), "RuntimeError"),
    "shell": ("return str(os.system('touch CANARY.touched'))", "32512"),
    "spawn": (_act("os.posix_spawn('/bin/sleep', ['sleep', '60'], {})"), "EPERM"),
    "exec": (_act("os.execv('/bin/sh', ['sh', '-c', 'true'])"), "EACCES"),
    "execveat": (_raw(322, -100, "b'/bin/sh'", "NULL", "NULL", 0), "EACCES"),
    # memory and floods
    "memory bomb": ("return bytearray(1 << 36)", "memory"),
    "memory creep": ("kept = []\nwhile True: kept.append(bytearray(1_000_000))", "memory"),
    "stdout flood": ("while True: print('x' * 10_000)", "output"),
    "stderr flood": ("while True: os.write(2, b'x' * 10_000)", "output"),
    "result flood": ("while True: os.write(4, b'x' * 10_000)", "output"),
    "large result": ("return 'x' * 10_000_000", "output"),
    "deep result": ("x = []\nfor _ in range(9_999): x = [x]\nreturn x", "output"),
    "doubling result": ("x = [1]\nfor _ in range(60): x = [x, x]\nreturn x", "output"),
    "memory file": (_act("os.memfd_create('f')"), "EPERM"),
    "limits raised": (
        _act("__import__('resource').setrlimit(__import__('resource').RLIMIT_CPU, (-1, -1))"),
        "ValueError",
    ),
    "another's limits": (_raw(302, "VICTIM", 7, "NULL", "bytes(16)"), "EPERM"),
    # files
    "read a file": (_act("open('/etc/passwd').read()"), "EACCES"),
    "read a file of all": (_act("open('CANARY').read()"), "EACCES"),
    "fill the disk": (_act("open('CANARY', 'wb').write(b'x')"), "EACCES"),
    "temporary file": (_act("open('/tmp/x', 'xb').write(b'x')"), "EACCES"),
    "truncate a file": (_act("os.truncate('CANARY', 0)"), "EACCES"),
    "remove a file": (_act("os.unlink('CANARY')"), "EACCES"),
    "symlink": (_act("os.symlink('/etc/passwd', '/tmp/link')"), "EACCES"),
    "hard link": (_act("os.link('CANARY', '/tmp/hard-link')"), "EACCES"),
    "list a folder": (_act("os.listdir('/')"), "EACCES"),
    "stat": (_act("os.stat('/etc/passwd')"), "EACCES"),
    "openat2": (_raw(437, -100, "b'/etc/passwd'", "bytes(24)", 24), "EACCES"),
    "statx": (_raw(332, -100, "b'/etc/passwd'", 0, 0xFFF, "bytes(256)"), "EACCES"),
    "open by handle": (_raw(304, 1, "bytes(16)", 0), _KILLED),
    "server's environment": (_act("open(f'/proc/{os.getppid()}/environ').read()"), "EACCES"),
    "server's memory": (_act("open(f'/proc/{os.getppid()}/mem', 'rb').read(1)"), "EACCES"),
    "own environment": ("return f'{len(os.environ)} variables'", "0 variables"),
    "own environment in memory": ("return str(libc.getenv(b'PATH'))", "0"),
    "folder of the process": (_act("os.getcwd()"), "EACCES"),
    "foreign descriptors": (
        "return str([n for n in range(12, 99) if call(72, n, 1) != 'EBADF'])",
        "[]",
    ),
    # network and shared objects
    "loopback": (_act("socket.socket().connect(('127.0.0.1', PORT))"), "EACCES"),
    "bind a port": (_act("socket.socket().bind(('127.0.0.1', 0))"), "EACCES"),
    "local socket": (_act("socket.socket(socket.AF_UNIX).connect('\\0LISTENER')"), "EACCES"),
    "netlink": (_act("socket.socket(16, 3, 0)"), "EACCES"),
    "packet socket": (_act("socket.socket(17, 3, 768)"), "EACCES"),
    "pass a descriptor": (_raw(46, 1, "bytes(56)", 0), "EPERM"),
    "shared memory": (_raw(29, 4711, 4096, 0o1666), "EPERM"),
    "message queue": (_raw(240, "b'redline'", 0o102, 0o666, "NULL"), "EPERM"),
    "semaphores": (_raw(64, 4711, 1, 0o1666), "EPERM"),
    # other processes
    "kill the server": (_act("os.kill(os.getppid(), 9)"), "EPERM"),
    "kill everybody": (_act("os.kill(-1, 9)"), "EPERM"),
    "kill a neighbour": (_act("os.kill(VICTIM, 9)"), "EPERM"),
    "tkill": (_raw(200, "VICTIM", 9), "EPERM"),
    "tgkill": (_raw(234, "VICTIM", "VICTIM", 9), "EPERM"),
    "queue a signal": (_raw(129, "VICTIM", 9, "bytes(128)"), "EPERM"),
    "signal on exit": (_act("fcntl.fcntl(1, 10, 9)"), "EPERM"),  # F_SETSIG
    "owner of signals": (_act("fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())"), "EPERM"),
    "asynchronous result": (_act("fcntl.fcntl(4, fcntl.F_SETFL, 0o20000)"), "EPERM"),  # O_ASYNC
    "lease": (_act("fcntl.fcntl(4, 1024, 0)"), "EPERM"),
    "ioctl of signals": (_raw(16, 4, 0x8901, "ctypes.byref(ctypes.c_int(VICTIM))"), "ENOTTY"),
    "terminal input": (_raw(16, 0, 0x5412, "b'x'"), "ENOTTY"),
    "pidfd_open": (_raw(434, "os.getppid()", 0), _KILLED),
    "pidfd_send_signal": (_raw(424, 4, 9, "NULL", 0), _KILLED),
    "pidfd_getfd": (_raw(438, 4, 0, 0), _KILLED),
    "ptrace": (_raw(101, 16, "os.getppid(), 0, 0"), _KILLED),
    "process_vm_readv": (_raw(310, "os.getppid()", "NULL", 0, "NULL", 0, 0), _KILLED),
    "process_vm_writev": (_raw(311, "os.getppid()", "NULL", 0, "NULL", 0, 0), _KILLED),
    "kcmp": (_raw(312, "os.getppid()", "os.getpid()", 0, 0, 0), _KILLED),
    # the kernel
    "io_uring": (_raw(425, 1, "bytes(120)"), _KILLED),
    "bpf": (_raw(321, 0, "bytes(120)", 120), _KILLED),
    "keyctl": (_raw(250, 0, -3, 0), _KILLED),
    "add_key": (_raw(248, "b'user'", "b'k'", "b'v'", 1, -3), _KILLED),
    "unshare": (_raw(272, 0x1000_0000), _KILLED),
    "setns": (_raw(308, 4, 0), _KILLED),
    "mount": (_raw(165, "b'none'", "b'/'", "b'tmpfs'", 0, "NULL"), _KILLED),
    "new mount interface": (_raw(430, "b'tmpfs'", 0), _KILLED),
    "perf_event_open": (_raw(298, "bytes(120)", 0, -1, -1, 0), _KILLED),
    "userfaultfd": (_raw(323, 1), _KILLED),
    "another filter": (_raw(317, 1, 0, "bytes(16)"), _KILLED),
    "personality": (_raw(135, 0x40_0000), _KILLED),  # READ_IMPLIES_EXEC
    "modify_ldt": (_raw(154, 1, "bytes(16)", 16), _KILLED),
    "prctl": (_raw(157, 4, 1, 0, 0, 0), "EPERM"),
    "parent-death signal": (_raw(157, 1, 0, 0, 0, 0), "EPERM"),
    "executable memory": (_act("__import__('mmap').mmap(-1, 4096, prot=7)"), "EPERM"),
    "memory made executable": (
        "import mmap\narea = mmap.mmap(-1, 4096)\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(area))\n"
        "return call(10, ctypes.c_void_p(at), 4096, 7)",
        "EPERM",
    ),
    "x32": (_raw(0x4000_0000 | 57), _KILLED),
    "int 0x80": (_INT_80, _KILLED),
    "unknown call": (_raw(511), "EPERM"),
    "set user": (_act("os.setuid(0)"), "EPERM"),
    # crashes
    "segfault": ("ctypes.string_at(0)", "crash (SIGSEGV)"),
    "abort": ("os.abort()", "crash"),
    "deep recursion": (
        "sys.setrecursionlimit(10**9)\ng = lambda: g()\ng()",
        "crash|timeout|exception",
    ),
    "deep source": (_act("eval('(' * 10_000 + ')' * 10_000)"), "SyntaxError"),
    "deep tree": ("return attempt(lambda: compile('-' * 90_000 + '1', '', 'eval'))", "MemoryError"),
    # the verdict
    "half a frame": ("os.write(4, b'\\x40\\0\\0'); os._exit(0)", "protocol"),
    "nonsense as result": ("os.write(4, os.urandom(999)); os._exit(0)", "protocol"),
    "result closed": ("os.close(4)", "crash"),
    "clean exit": ("os._exit(0)", "crash"),
    "system exit": ("raise SystemExit(0)", "exception"),
    "exit hook": ("import atexit; atexit.register(os._exit, 0)", "fail"),
    "equal to everything": (
        "return type('E', (), {'__eq__': lambda *_: True, '__hash__': lambda _: 1})()",
        "fail",
    ),
    "patched builtins": (
        "import builtins, json\nbuiltins.len = builtins.eval = lambda *_: 'no such' + ' value'\n"
        "return 1",
        "fail|crash",
    ),
    "expectation in memory": (_SEARCH, "fail"),
    "colliding set": ("return {n * (2**61 - 1) for n in range(1_500)}", "fail"),
}

THREATS = tuple(
    Threat(name=name, body=body, ending=ending) for name, (body, ending) in _LIST.items()
)
