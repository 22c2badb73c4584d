"""Training side: advantages, losses, packing, the DeepSpeed step, weights and checkpoints.

OpenMP threads spin at barriers by default. When learner and samplers share cores, a thread that
spins keeps the one it waits for off the core: two threads were measured 5 to 12 times slower than
with passive waiting. Waiting passively costs something on an idle machine, where each barrier wakes
a thread: some microseconds of spinning before it sleeps make two threads up to 1.6 times as fast
there, and change nothing where cores are shared. OpenMP reads the variables when torch is loaded,
hence here; the second is that of GNU's OpenMP, which torch has on Linux.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
