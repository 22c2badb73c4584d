"""The disk of a run fills up, and then its newest segment is damaged: it resumes all the same."""

import subprocess

import pytest
from audit import audit
from redline_driving import assert_gone_within, kill_drivers
from soak_run import go_on, prepare, train

from redline.replay.catalog import read_catalog

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(900)]
MIB = 2**20


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "redline-test", folder]
    try:
        refused = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount(8)")
    if refused.returncode:
        pytest.skip(f"no file system may be mounted here: {refused.stderr.strip()}")
    yield folder
    kill_drivers()
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_run_whose_disk_is_full_says_so_and_resumes_with_a_damaged_segment(disk, tmp_path):
    prepare(tmp_path)
    (tmp_path / "runs").symlink_to(disk)
    run = train(tmp_path, "full", "steps=100000")
    go_on(run, tmp_path, "full", steps=5)
    pids = run.descendants()
    fill(disk / "filler")
    assert run.finish(seconds=200) == 1, run.complaint()
    assert_gone_within(pids, 30)
    (line,) = [line for line in run.err if line.startswith("redline: ")]
    assert "No space left on device" in line
    assert "Traceback" not in run.complaint()

    (disk / "filler").unlink()
    held = damage(disk / "full/replay")
    resumed = train(tmp_path, "full", "--resume")
    go_on(resumed, tmp_path, "full", steps=5)
    pids = resumed.descendants()
    resumed.interrupt()
    assert resumed.finish(seconds=90) == 130, resumed.complaint()
    assert_gone_within(pids, 10)
    # The damaged file is kept to be looked at; whatever of it was trained on stays trained.
    allowed = {f"trained, not committed: {name}" for name in held}
    allowed |= {f"lost: group {int(name[1:])}" for name in held}
    violations = [v for v in audit(tmp_path, name="full") if v not in allowed]
    assert violations, "the damage was not found"
    assert all(line.startswith("store: ") for line in violations), violations


def fill(path):
    """Take all space that is left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MIB))
        except OSError:
            pass
        try:
            while True:
                file.write(b"\0")
        except OSError:
            return


def damage(store):
    """Flip a byte in the middle of the newest segment; returns the groups that it held."""
    newest = max((store / "segments").glob("*.arrow"))
    (held,) = [s.groups for s in read_catalog(store).segments if s.file == newest.name]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(content)
    return [group.group_id for group in held]
