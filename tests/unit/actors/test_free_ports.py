"""Ports that are chosen before they are used."""

import socket

import pytest

from redline.actors.free_ports import _first_ephemeral, free_ports


def test_ports_differ_are_free_and_outside_the_kernels_own_range():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        assert 20_000 <= port < _first_ephemeral()
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))


def test_a_port_that_somebody_listens_on_is_not_chosen(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("random.SystemRandom.randint", lambda self, low, high: port)
        with pytest.raises(OSError, match="no 1 free ports"):
            free_ports(1)
