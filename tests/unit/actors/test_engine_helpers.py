import os
import subprocess
from types import SimpleNamespace

import numpy as np

from redline.actors import vllm_api
from redline.actors.engine import _request_seed
from redline.actors.follow import is_alive
from redline.actors.intakes import shared_file


def output(spans=None, tokens=5):
    return SimpleNamespace(
        token_ids=list(range(tokens)),
        weight_versions=None
        if spans is None
        else [SimpleNamespace(version=str(v), start=a, end=b) for v, a, b in spans],
    )


def test_spans_become_one_version_for_each_token():
    versions = vllm_api.version_spans(output([(3, 0, 2), (4, 2, 5)]), oldest=1)
    assert versions.tolist() == [3, 3, 4, 4, 4]
    assert versions.dtype == np.int32


def test_without_spans_every_token_gets_the_oldest_version_it_can_have():
    assert vllm_api.version_spans(output(), oldest=7).tolist() == [7] * 5
    bare = SimpleNamespace(token_ids=[1, 2])
    assert vllm_api.version_spans(bare, oldest=7).tolist() == [7, 7]


def test_log_probabilities_are_those_of_the_sampled_tokens():
    rows = [{9: SimpleNamespace(logprob=-0.5)}, {4: SimpleNamespace(logprob=-1.5)}]
    ids = np.asarray([9, 4], dtype=np.int32)
    values = vllm_api.sampled_logprobs(SimpleNamespace(logprobs=rows), ids)
    assert values.tolist() == [-0.5, -1.5]
    assert values.dtype == np.float32


def test_a_scored_prompt_has_one_value_less_than_tokens():
    rows = [None, {9: SimpleNamespace(logprob=-0.5), 1: SimpleNamespace(logprob=-0.1)}]
    scored = SimpleNamespace(prompt_logprobs=rows)
    assert vllm_api.prompt_logprobs(scored, np.asarray([3, 9])).tolist() == [-0.5]


def test_each_request_has_its_own_seed_and_keeps_it():
    seeds = [_request_seed(1, f"g/{i}") for i in range(8)]
    assert len(set(seeds)) == 8
    assert seeds == [_request_seed(1, f"g/{i}") for i in range(8)]
    assert _request_seed(2, "g/0") != seeds[0]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert _request_seed(None, "g/0") is None


def test_another_process_reads_the_buckets_and_nothing_is_left_of_them():
    payload = np.arange(200, dtype=np.uint8)
    with shared_file([payload[:150], payload[150:]]) as path:
        assert subprocess.check_output(["cat", path]) == payload.tobytes()
        assert "memfd:" in str(path.readlink()), "a name in a folder would outlive a kill"
    assert not path.exists()


def test_a_process_that_is_gone_is_noticed():
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    assert is_alive(os.getpid())
    assert not is_alive(child)
