"""Training side: advantages, losses, packing, the DeepSpeed step, weights and checkpoints.

OpenMP threads spin at barriers by default. When learner and samplers share cores, a thread that
spins keeps the one it waits for off the core: two threads were measured 5 to 12 times slower than
with passive waiting, which costs nothing on an idle machine. OpenMP reads the variable when torch
is loaded, hence here.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
