"""Who may use a run's folder, and what a refused start leaves behind."""

import os
from dataclasses import replace

import pytest

from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.load import load_config
from redline.cluster.resuming import resumed_config
from redline.cluster.run_directory import RunDirectory


def config_in(root, name="mine"):
    return load_config("demo", [f"run_root={root}", f"name={name}"])


def test_a_name_in_use_is_refused_with_a_free_one(tmp_path):
    with RunDirectory.create(config_in(tmp_path)) as directory:
        directory.keep()
    (tmp_path / "mine-2").mkdir()
    with pytest.raises(UserError, match=r"name=mine-3"):
        RunDirectory.create(config_in(tmp_path))


def test_a_refused_start_leaves_nothing_behind(tmp_path):
    root = tmp_path / "deep" / "runs"
    with pytest.raises(UserError, match="later"), RunDirectory.create(config_in(root)):
        raise UserError("later")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_worker_leaves_its_logs(tmp_path):
    with pytest.raises(WorkFailed), RunDirectory.create(config_in(tmp_path)) as directory:
        raise WorkFailed("a worker died")
    assert directory.logs.is_dir()


def test_what_was_kept_stays(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunDirectory.create(config_in(tmp_path)) as directory:
        directory.keep()
        raise KeyboardInterrupt
    assert (directory.path / "config.yaml").is_file()


def test_attempts_are_counted_and_a_second_driver_is_refused(tmp_path):
    with RunDirectory.create(config_in(tmp_path)) as first:
        first.keep()
        assert first.logs.name == "attempt_1"
        with pytest.raises(UserError, match="being trained by another process"):
            RunDirectory.reopen(config_in(tmp_path))
    with RunDirectory.reopen(config_in(tmp_path)) as second:
        assert second.logs.name == "attempt_2"


def test_a_resumed_run_starts_with_the_counts_that_were_asked_for_last(tmp_path):
    config = config_in(tmp_path)
    with RunDirectory.create(config) as directory:
        directory.keep()
        directory.keep_counts({"samplers": 3})
        directory.keep_counts({"sandboxes": 2})
    again = resumed_config(config, [])
    assert (again.rollout.samplers, again.sandbox.actors) == (3, 2)
    assert resumed_config(config, ["rollout.samplers=1"]).rollout.samplers == 1
    assert replace(again, rollout=config.rollout, sandbox=config.sandbox) == config


def test_reopening_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="no run to resume"):
        RunDirectory.reopen(config_in(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_root_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot write the run directory"):
        RunDirectory.create(config_in(tmp_path))


def test_a_root_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the run directory .*run_root="):
        RunDirectory.create(config_in(tmp_path / "file" / "runs"))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
