"""Demonstrations on sandbox actors are those that a pool of this process gives, byte for byte."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from published import write_problems
from redline_driving import Driver, alive, kill_drivers

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


def test_the_file_is_the_same_as_without_ray(tmp_path):
    write_problems(tmp_path / "mbpp.jsonl", range(601, 606))
    options = ("tasks", "demos", "--data", "mbpp.jsonl", "--per-task", 8, "--json", "--output")
    local = Driver(*options, "local.arrow", cwd=tmp_path)
    assert local.finish(300) == 0, local.complaint()
    driver = Driver(
        *options, "ray.arrow", "--ray", "local", "--actors", 2, "--workers", 1, cwd=tmp_path
    )
    driver.wait_for_line("sandbox isolation")
    started = driver.descendants()
    assert driver.finish(300) == 0, driver.complaint()
    assert "starting 2 sandbox actors" in driver.complaint()
    result = driver.result()
    assert result["demonstrations"] == local.result()["demonstrations"] == 40
    assert (tmp_path / "ray.arrow").read_bytes() == (tmp_path / "local.arrow").read_bytes()
    assert not alive(started)
