"""Who may see the page: every request and web socket passes here first.

With a token, a browser gives it once at /login and holds a cookie from then on, which cannot be
turned back into the token; scripts send `Authorization: Bearer TOKEN`. Without one, only requests
to this machine's own name are answered, so that no foreign page that resolves its name to
127.0.0.1 can read along (DNS rebinding). Requests that another site's page makes are refused.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redline.cluster.dashboard.rendering import render_login

COOKIE = "redline_dashboard"
_LOGIN = "/login"
_LONGEST_FORM = 4_096
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_MONTH = 30 * 24 * 3600
# Vue compiles templates and NiceGUI writes its page inline, hence the two `unsafe-`; nothing is
# ever loaded from another host.
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


class Guard:
    """An ASGI application around the page's own."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        """`token` None: whoever reaches the port on this machine may look."""
        self.app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is refused; hand on everything else."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = await self._refusal(scope, receive)
        if refusal is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, _with_headers(send))

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        connection = HTTPConnection(scope)
        if _is_foreign(connection.headers):
            return PlainTextResponse("requests of other sites are refused\n", 403)
        if self._token is None:
            if _host(connection.headers.get("host", "")) in _LOCAL:
                return None
            return PlainTextResponse("ask for this page as localhost or 127.0.0.1\n", 403)
        if scope["type"] == "http" and scope["path"] == _LOGIN:
            return await self._log_in(Request(scope, receive))
        if self._may_enter(connection):
            return None
        if "text/html" in connection.headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            target = scope["path"] + f"?{query}" * bool(query)
            return RedirectResponse(f"{_LOGIN}?next={quote(target)}", 303)
        return PlainTextResponse("the dashboard's token is missing or wrong\n", 401)

    def _may_enter(self, connection: HTTPConnection) -> bool:
        assert self._token is not None
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _same(given.strip(), self._token)
        return _same(connection.cookies.get(COOKIE, ""), session_of(self._token))

    async def _log_in(self, request: Request) -> Response:
        assert self._token is not None
        if request.method == "GET":
            return HTMLResponse(render_login(_inside(request.query_params.get("next", "/"))))
        form = await _read_form(request)
        target = _inside(form.get("next", "/"))
        if not _same(form.get("token", "").strip(), self._token):
            return HTMLResponse(render_login(target, "This is not the token."), 403)
        response = RedirectResponse(target, 303)
        response.set_cookie(
            COOKIE, session_of(self._token), max_age=_MONTH, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return response


def session_of(token: str) -> str:
    """What the cookie of a browser that gave the token holds: another token, another cookie."""
    return hmac.new(token.encode(), b"redline dashboard session", hashlib.sha256).hexdigest()


def _same(given: str, expected: str) -> bool:
    """Compared in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _is_foreign(headers: Headers) -> bool:
    """Whether a page of another origin made the request; browsers always say so."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def _host(value: str) -> str:
    """The name in a Host header, without its port."""
    return urlsplit(f"//{value}").hostname or ""


def _inside(path: str) -> str:
    """A path of this site; anything that a browser could read as another site becomes `/`."""
    return path if path.startswith("/") and path[1:2] not in ("/", "\\") else "/"


async def _read_form(request: Request) -> Mapping[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM:
            return {}
    return {k: v[0] for k, v in parse_qs(body.decode("utf-8", "replace")).items()}


def _with_headers(send: Send) -> Send:
    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(k.encode(), v.encode()) for k, v in _HEADERS.items()]
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return send_more
