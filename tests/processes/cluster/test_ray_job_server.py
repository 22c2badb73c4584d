"""What redline says when no cluster answers, something else does, or it refuses the token."""

import http.server
import socket
import threading

import pytest

from redline.cluster.errors import UserError
from redline.cluster.jobs.connecting import connect
from redline.cluster.main import run


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, tmp_path):
    """What connecting sets ends with the test; the token is the test's own."""
    token = tmp_path / "token"
    token.write_text("0" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")


@pytest.fixture
def answering():
    """A web server that answers every request with the given status and text."""
    servers = []

    def serve(status, text):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                return

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (401, "Unauthorized: Missing authentication token", "asks for a token and none was found"),
        (403, "Forbidden: Invalid authentication token", "refused the token of .*token: put the"),
        (404, "no such page", "is no Ray dashboard"),
        (200, "<html>", "no Ray dashboard at"),
        (200, "{}", "is no Ray dashboard"),
    ],
)
def test_who_is_no_cluster_of_ours_is_told_in_one_line(answering, status, text, message):
    with pytest.raises(UserError, match=message) as caught:
        connect(answering(status, text))
    assert "\n" not in str(caught.value)


def test_no_cluster_at_the_address_is_told_in_one_line(capfd):
    with socket.socket() as nobody:  # it is bound, so that nobody else listens there
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for command in (["status"], ["stop", "x"], ["submit", "--config", "demo", "run_root=/no"]):
            assert run([*command, "--address", address]) == 2
            err = capfd.readouterr().err
            assert err.startswith(f"redline: no Ray dashboard at {address} ")
            assert err.count("\n") == 1 and "ray start --head" in err
