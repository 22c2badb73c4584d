"""States of torch's random generators in a checkpoint.

random.pt      the CPU's; random_N.pt of rank N above 0
random_gpu.pt  that of the rank's GPU, which draws dropout there; random_gpu_N.pt
"""

from pathlib import Path

import torch


def save_random(folder: Path, device: torch.device, rank: int = 0) -> None:
    """Write the states of this process, which computes on `device`."""
    torch.save(torch.get_rng_state(), folder / _name("random", rank))
    if device.type == "cuda":
        torch.save(torch.cuda.get_rng_state(device), folder / _name("random_gpu", rank))


def load_random(folder: Path, device: torch.device, rank: int = 0) -> None:
    """Go on from the states of `save_random`; one that was not written stays as it is."""
    if (path := folder / _name("random", rank)).is_file():
        torch.set_rng_state(torch.load(path, weights_only=True))
    if device.type == "cuda" and (path := folder / _name("random_gpu", rank)).is_file():
        torch.cuda.set_rng_state(torch.load(path, weights_only=True), device)


def _name(generator: str, rank: int) -> str:
    return f"{generator}_{rank}.pt" if rank else f"{generator}.pt"
