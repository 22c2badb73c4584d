"""Who gets in: tokens, cookies, foreign pages; and what the command refuses before it serves."""

import os
import socket
import stat

import pytest
from run_folders import make_run
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from redline.cluster.dashboard.access import COOKIE, Guard, session_of
from redline.cluster.dashboard.lock_holder import lock_holder
from redline.cluster.dashboard.server import is_loopback
from redline.cluster.dashboard.token_file import VARIABLE, find_token
from redline.cluster.errors import UserError
from redline.cluster.main import run

TOKEN = "correct-horse-battery"
HTML = {"accept": "text/html"}


async def page(request):
    return PlainTextResponse("inside")


async def wire(websocket):
    await websocket.accept()
    await websocket.send_text("inside")
    await websocket.close()


def client(token, base="http://localhost:8300"):
    app = Starlette(routes=[Route("/{path:path}", page), WebSocketRoute("/wire", wire)])
    return TestClient(Guard(app, token), base_url=base, follow_redirects=False)


def test_without_a_token_only_this_machine_is_answered():
    assert client(None).get("/").text == "inside"
    assert client(None, "http://127.0.0.1:8300").get("/").text == "inside"
    assert client(None, "http://[::1]:8300").get("/").text == "inside"
    assert client(None, "http://evil.example:8300").get("/").status_code == 403


def test_pages_of_other_sites_are_refused():
    for token in (None, TOKEN):
        for origin in ("http://evil.example", "null", "http://localhost:9999"):
            assert client(token).get("/", headers={"origin": origin}).status_code == 403
    assert client(None).get("/", headers={"origin": "http://localhost:8300"}).text == "inside"


def test_a_web_socket_needs_the_same_as_a_page():
    with client(None).websocket_connect("ws://localhost:8300/wire") as wired:
        assert wired.receive_text() == "inside"
    for made, headers in (
        (client(None), {"origin": "http://evil.example"}),
        (client(TOKEN), {}),
        (client(TOKEN), {"cookie": f"{COOKIE}={TOKEN}"}),
    ):
        with (
            pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
            made.websocket_connect("ws://localhost:8300/wire", headers=headers),
        ):
            pass
    cookie = {"cookie": f"{COOKIE}={session_of(TOKEN)}"}
    with client(TOKEN).websocket_connect("ws://localhost:8300/wire", headers=cookie) as wired:
        assert wired.receive_text() == "inside"


def test_scripts_send_the_token_as_bearer():
    get = client(TOKEN, "http://cluster.example").get
    assert get("/", headers={"authorization": f"Bearer {TOKEN}"}).text == "inside"
    for wrong in ("Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer é"):
        answer = get("/", headers={"authorization": wrong.encode()})
        assert answer.status_code == 401
        assert TOKEN not in answer.text


def test_a_browser_logs_in_once_and_comes_where_it_wanted():
    browser = client(TOKEN, "http://cluster.example")
    asked = browser.get("/trajectories/g1/0?status=solved", headers=HTML)
    assert asked.status_code == 303
    form = browser.get(asked.headers["location"])
    assert 'value="/trajectories/g1/0?status=solved"' in form.text
    wrong = browser.post("/login", data={"token": "wrong", "next": "/"})
    assert wrong.status_code == 403
    assert COOKIE not in wrong.headers.get("set-cookie", "")
    right = browser.post("/login", data={"token": TOKEN, "next": "/trajectories/g1/0"})
    assert (right.status_code, right.headers["location"]) == (303, "/trajectories/g1/0")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert browser.get("/").text == "inside"


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", ""]
)
def test_login_leads_nowhere_else(target):
    answer = client(TOKEN).post("/login", data={"token": TOKEN, "next": target})
    assert answer.headers["location"] == "/"


def test_an_endless_login_form_is_not_read():
    answer = client(TOKEN).post("/login", content=b"token=" + b"x" * 100_000)
    assert answer.status_code == 403


def test_another_token_ends_every_session():
    browser = client("another-token-entirely")
    browser.cookies.set(COOKIE, session_of(TOKEN))
    assert browser.get("/").status_code == 401


def test_answers_say_that_nothing_comes_from_elsewhere():
    headers = client(None).get("/").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_a_token_file_is_made_for_its_owner_alone(tmp_path, capsys):
    file = tmp_path / "token"
    token = find_token(file, {})
    assert token is not None
    assert len(token) >= 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert find_token(file, {}) == token
    assert token not in capsys.readouterr().err


def test_a_token_file_that_others_read_or_that_is_too_short_is_refused(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        find_token(file, {})
    file.chmod(0o600)
    assert find_token(file, {}) == TOKEN
    file.write_text("short\n")
    with pytest.raises(UserError, match="5 characters, expected at least 16"):
        find_token(file, {})
    file.write_bytes(b"\xff" * 40)
    with pytest.raises(UserError, match="cannot be used"):
        find_token(file, {})
    with pytest.raises(UserError, match="cannot be used: No such file"):
        find_token(tmp_path / "no" / "token", {})
    assert find_token(None, {VARIABLE: f" {TOKEN}\n"}) == TOKEN
    assert find_token(None, {}) is None


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.7", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_counts_as_this_machine(host, local):
    assert is_loopback(host) is local


def test_who_holds_a_lock_is_read_without_taking_it(tmp_path):
    import fcntl

    file = tmp_path / "lock"
    assert lock_holder(file) is None
    with file.open("w") as lock:
        assert lock_holder(file) is None
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert lock_holder(file) == os.getpid()
    assert lock_holder(file) is None
    assert lock_holder(file, tmp_path / "no-proc") is None


@pytest.fixture
def redline(capfd, tmp_path, monkeypatch):
    """Run `redline dashboard` in a folder; its status and output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)

    def call(*arguments):
        return run(["dashboard", *map(str, arguments)]), *capfd.readouterr()

    return call


def refused(answer, message):
    status, out, err = answer
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_no_such_run(redline, tmp_path):
    refused(redline(), "no runs in runs: start one with `redline train`")
    refused(redline("nothing"), "no run 'nothing'")
    (tmp_path / "folder").mkdir()
    refused(redline("folder"), "folder is no run directory: it has no config.yaml")
    make_run(tmp_path / "runs" / "first", steps=1)
    refused(redline("frist"), "there are first")


def test_a_run_without_metrics(redline, tmp_path):
    folder = make_run(tmp_path / "runs" / "first", steps=1)
    (folder / "metrics" / "steps.jsonl").unlink()
    refused(redline("first"), "has no metrics (steps.jsonl) and no process works on it")


@pytest.mark.parametrize("text", ["", "name: [half", "- a\n- b\n", "\x00"])
def test_a_half_written_configuration(redline, tmp_path, text):
    folder = make_run(tmp_path / "runs" / "first", steps=1)
    (folder / "config.yaml").write_text(text)
    refused(redline("runs/first"), "config.yaml is only half written or damaged")


def test_a_store_of_another_version(redline, tmp_path):
    folder = make_run(tmp_path / "runs" / "first", steps=1, groups=4)
    identity = folder / "replay" / "store.json"
    identity.write_text(identity.read_text()[:20])
    refused(redline("first"), "not the identity of a store")


def test_a_port_in_use(redline, tmp_path):
    make_run(tmp_path / "runs" / "first", steps=1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(redline("--port", port), f"port {port} of 127.0.0.1 is in use: choose another")


def test_other_machines_need_a_token(redline, tmp_path):
    make_run(tmp_path / "runs" / "first", steps=1)
    refused(redline("--host", "0.0.0.0", "--port", 0), "needs a token: give --token-file FILE")
    refused(redline("--host", "256.0.0.1.invalid", "--token-file", "t"), "no address of this")
