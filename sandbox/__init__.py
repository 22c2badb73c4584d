"""Isolated execution of untrusted programs and the judging of their results.

A pool keeps fork servers, small processes of their own; each execution is one fork that gives up
what it must not have before it reads its program.

Judging. What a test expects is never in a process with the program. A plain assertion is taken
apart: its call goes in, a value of exact builtin types comes back and is compared in the pool's
process (`compile`, `judge`). Every other test runs in a second contained child, the judge child
(`judge_child`), which holds setup and tests and asks the candidate's child over two pipes (`link`,
`endpoint`): functions, classes, generators and objects of the program are stand-ins there
(`stubs`), arguments that the program changed are changed in place, exceptions arrive as types, and
all that the candidate sends is data (`link_codec`).

What judging cannot do: a test that lets the program's own functions or classes decide (`assert
is_valid(f(2))` with the program's `is_valid`, `assert Point(1).same_as(p)`) trusts them; such
helpers belong into the setup, which runs in both children. `==` between objects of the program is
identity; of a class that the setup defines, objects cross by value and `==` is the setup's
(`shared_classes`). An object of a class that the test itself defines cannot be passed. Arguments
that the program keeps and changes in a later call do not change in the test.

Every server isolates itself when it starts and proves by trying that the isolation holds. Tiers,
the strongest first: `namespaces` (an empty world with nothing but the server in it), `landlock`
(no file can be opened), `seccomp` (about fifty system calls are left), `none` (limits only, to be
allowed explicitly). The strongest that the machine gives is used, nothing runs below the configured
minimum, and each verdict carries its tier. docs/security.md says what is promised at which.

In every tier: limits on CPU time, address space, output and results; no process and no thread; a
user of its own where the server is root; dead with its server; scrubbed environment; recursion; a
status per test; retries of what the sandbox itself failed.

Where to look: `pool` and `server` (the pool's side), `fork_server`, `isolate`, `containment` (the
server's side), `seccomp`, `bpf`, `landlock`, `namespaces` (one layer each), `trials` and `probe`
(what holds). Import what you need from `redline.sandbox.pool` (`SandboxPool`, `run_all`),
`.records`, `.client` and `.task_runner`.
"""
