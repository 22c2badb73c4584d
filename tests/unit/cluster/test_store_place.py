"""A run whose store lies elsewhere: found there, and refused in one line before anything starts."""

import uuid
from pathlib import Path

import cluster_fakes as fakes
import pytest

from redline.cluster.checks.store_place import check_store, store_location, store_of
from redline.cluster.errors import UserError
from redline.cluster.load import load_config, to_yaml
from redline.replay.store import ReplayStore


def configured(tmp_path, *overrides):
    return load_config("demo", [f"run_root={tmp_path}/runs", "name=mine", *overrides])


def test_a_store_lies_in_the_run_directory_or_under_the_runs_name(tmp_path):
    assert store_location(configured(tmp_path)) == f"{tmp_path}/runs/mine/replay"
    assert store_location(configured(tmp_path, f"replay.root={tmp_path}/all")) == (
        f"{tmp_path}/all/mine"
    )
    assert store_location(configured(tmp_path, "replay.root=s3://bucket/all?region=eu")) == (
        "s3://bucket/all/mine?region=eu"
    )


def test_a_runs_folder_leads_to_its_store(tmp_path):
    config = configured(tmp_path, "replay.root=s3://bucket/all")
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(to_yaml(config))
    assert store_of(str(run)) == "s3://bucket/all/mine"
    (run / "replay").mkdir()
    assert store_of(str(run)) == str(run / "replay")
    assert store_of("s3://bucket/all/mine") == "s3://bucket/all/mine"
    assert store_of(str(tmp_path)) == str(tmp_path)


def test_a_place_where_nobody_may_write_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    config = configured(tmp_path, f"replay.root={tmp_path}/file/stores")
    with pytest.raises(UserError, match=r"file/stores/mine: cannot make the folder"):
        check_store(config, resume=False)
    with pytest.raises(UserError, match="no way to this store"):
        check_store(configured(tmp_path, "replay.root=nowhere://x"), resume=False)


@pytest.mark.parametrize("root", ["null", "memory://stores-{}"])
def test_a_store_of_another_version_is_refused_before_a_run_goes_on(tmp_path, root):
    config = configured(tmp_path, f"replay.root={root.format(uuid.uuid4().hex)}")
    check_store(config, resume=True)
    with ReplayStore(store_location(config)) as store:
        identity = store.path / "store.json"
    old = identity.read_text().replace('"schema_version": 1', '"schema_version": 7').encode()
    identity.write_bytes(old) if isinstance(identity, Path) else identity.write_whole(old)
    with pytest.raises(UserError, match=r"schema version 7, but this redline reads version 1"):
        check_store(config, resume=True)


def test_a_new_run_does_not_take_up_the_store_of_another(tmp_path):
    config = configured(tmp_path, f"replay.root=memory://stores-{uuid.uuid4().hex}")
    check_store(config, resume=False)
    ReplayStore(store_location(config)).close()
    check_store(config, resume=False)  # a start that was refused left it, without a group
    with ReplayStore(store_location(config)) as store:
        store.append(fakes.make_group("g0", "t0", [0]))
    with pytest.raises(UserError, match="holds the store of another run"):
        check_store(config, resume=False)
    check_store(config, resume=True)
