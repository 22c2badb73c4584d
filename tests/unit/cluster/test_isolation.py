"""The isolation of a run: what is recorded, and how a refusal ends a command."""

import json

import pytest

from redline.actors.records import SandboxStart
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.isolation import RunIsolation, sandbox_problem
from redline.cluster.load import load_config
from redline.sandbox.records import InfrastructureError, IsolationRefused


def starts(*tiers):
    return [
        SandboxStart(worker=f"sandbox-{number}", node=f"node-{number}", tier=tier)
        for number, tier in enumerate(tiers)
    ]


def test_sandboxes_that_agree_are_told_in_one_word(tmp_path):
    isolation = RunIsolation.of(starts("namespaces", "namespaces"))
    assert isolation.summary() == "sandbox isolation: namespaces"
    isolation.save(tmp_path / "isolation.json")
    written = json.loads((tmp_path / "isolation.json").read_text())
    assert written["tier"] == "namespaces"
    assert written["sandboxes"][1]["node"] == "node-1"


def test_nodes_that_differ_are_named_and_the_weakest_counts():
    isolation = RunIsolation.of(starts("namespaces", "seccomp"))
    assert isolation.tier == "seccomp"
    assert "sandbox-1 on node-1: seccomp" in isolation.summary()
    assert "differs" in isolation.summary()


def test_a_refusal_is_for_the_user_and_a_fault_is_not():
    assert isinstance(sandbox_problem(IsolationRefused("x")), UserError)
    assert isinstance(sandbox_problem(InfrastructureError("x")), WorkFailed)


@pytest.mark.parametrize("words", [["sandbox.min_tier=chroot"], ["sandbox.min_tier=none"]])
def test_a_configuration_without_sense_is_refused(words):
    with pytest.raises(UserError, match=r"sandbox\.min_tier='"):
        load_config("demo", ["name=x", *words])
