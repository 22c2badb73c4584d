"""Serves the page of one run until it is told to stop."""

import errno
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address

from redline.cluster.dashboard.run_files import RunFiles
from redline.cluster.errors import UserError


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; UserError when the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise UserError(f"--host {host}: no address of this machine ({error.strerror})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(_why(host, port, error)) from error
    return listener


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: choose another with --port N, or 0 for a free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights: choose one above 1023 with --port N"
    return f"cannot listen on {host} port {port}: {error.strerror}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_of(listener: socket.socket, host: str) -> str:
    """The address to open in a browser."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/"


def serve(
    files: RunFiles, listener: socket.socket, token: str | None, ready: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once the socket is answered."""
    os.environ.setdefault("MATPLOTLIB", "false")  # NiceGUI would import it for nothing
    import uvicorn
    from fastapi import FastAPI
    from nicegui import ui

    from redline.cluster.dashboard.access import Guard
    from redline.cluster.dashboard.api import make_api
    from redline.cluster.dashboard.fragments import make_fragments
    from redline.cluster.dashboard.pages import register_pages
    from redline.cluster.dashboard.viewer import Viewer
    from redline.cluster.dashboard.watch import RunWatch

    with RunWatch(files) as watch:
        viewer = Viewer(watch)
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(make_api(watch))
        app.include_router(make_fragments(viewer))
        register_pages(watch, viewer)
        ui.run_with(
            app, title=f"{files.name} · redline", dark=None, tailwind=False,
            show_welcome_message=False,
        )  # fmt: skip
        config = uvicorn.Config(
            Guard(app, token), log_level="warning", access_log=False, timeout_graceful_shutdown=3
        )

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready()

        Server(config).run(sockets=[listener])
