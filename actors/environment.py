"""Environment variables that must be set before vLLM is imported."""

import os
from pathlib import Path

from redline.actors.follow import OWNER
from redline.actors.free_ports import free_ports
from redline.actors.settings import EngineSettings


def prepare_environment(model_path: str, settings: EngineSettings) -> None:
    """Set what vLLM reads at import and what its engine process inherits.

    Threads are not bound to cores, since engine, sandbox and learner share them; nothing is
    reported to anyone; a policy that is a folder needs no network. What the user has set already
    stays, except the number of OpenMP threads, which is a setting of its own.
    """
    os.environ["OMP_NUM_THREADS"] = str(settings.omp_threads)
    os.environ[OWNER] = str(os.getpid())
    quiet = {
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_LOGGING_LEVEL": "ERROR",
        # A forked engine could not use a GPU that torch in this process has looked for already.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_NO_USAGE_STATS": "1",
        # Where it looks for a port of its own; unset, it takes one that others may be given too.
        "VLLM_PORT": str(free_ports(1)[0]),
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        # The second: what an engine that was ended leaves to Python's own tidying.
        "PYTHONWARNINGS": "ignore::FutureWarning,ignore:resource_tracker:UserWarning",
        # Waiting threads must not burn the core that the learner could use.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    if Path(model_path).is_dir():
        quiet |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if settings.enforce_eager:
        # Else vLLM's sampler still compiles one small kernel, for which nobody reads the result:
        # the rank of each sampled token.
        quiet["TORCH_COMPILE_DISABLE"] = "1"
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
