"""Who may ask, and what a browser may do with the answer.

Nobody is asked where only this machine can connect. Otherwise a token is wanted: as a bearer of the
API, or once on a page that turns it into a cookie; or the name that a reverse proxy has found.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.dashboard.problems import problem
from pipeline.dashboard.static import FOLDER
from pipeline.settings import Dashboard

LOGIN: Final = "/login"
# What tells nothing of the news, and what the page that asks for the token is made of.
_OPEN: Final = frozenset({"/api/v1/health", "/static/login.css"})

COOKIE: Final = "kasnec"
# A working day: who comes tomorrow is asked again.
_SIGNED_IN_S: Final = 12 * 3600
# A token and its field's name; more is no token.
_LOGIN_BYTES: Final = 1_024
# Each wrong guess costs so long; the tokens are too long to be guessed anyway.
_WRONG_S: Final = 0.5

HEADERS: Final = {
    # No inline script or style, nothing from elsewhere, in nobody's frame.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # An outlet need not know which of its articles somebody reads here.
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Lets in who may ask, and puts the headers on every answer.

    Args:
        app: what is guarded.
        settings: token or header.
    """

    def __init__(self, app: ASGIApp, settings: Dashboard) -> None:
        self._app = app
        self._token = settings.token.get_secret_value()
        self._identity_header = settings.identity_header
        # Of no use to find the token by, and no longer good once that is changed.
        self._session = hmac.digest(self._token.encode(), b"kasnec session", "sha256").hex()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        request = Request(scope, receive)
        if scope["path"] == LOGIN and self._token:
            answer: ASGIApp = await self._login(request)
        elif scope["method"] not in ("GET", "HEAD"):
            answer = problem(405, "Everything here is read by GET.", headers={"allow": "GET, HEAD"})
        elif scope["path"] in _OPEN or self._may(request):
            answer = self._app
        elif scope["path"].startswith("/api/") or not self._token:
            answer = problem(
                401,
                "Send the token as `Authorization: Bearer …`."
                if self._token
                else f"The reverse proxy has named nobody in {self._identity_header}.",
                headers={"www-authenticate": "Bearer"},
            )
        else:
            answer = RedirectResponse(LOGIN, 303)
        await answer(scope, receive, sending)

    def _may(self, request: HTTPConnection) -> bool:
        if not (self._token or self._identity_header):
            return True
        if self._identity_header and request.headers.get(self._identity_header):
            return True
        return bool(self._token) and (
            _same(_bearer(request.headers), self._token)
            or _same(request.cookies.get(COOKIE, ""), self._session)
        )

    async def _login(self, request: Request) -> Response:
        page = FileResponse(FOLDER / "login.html")
        if request.method != "POST":
            return page
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LOGIN_BYTES:
                return problem(413, "That is longer than any token.")
        fields = parse_qs(body.decode("latin-1"), max_num_fields=2)
        if not _same(fields.get("token", [""])[0], self._token):
            await asyncio.sleep(_WRONG_S)
            page.status_code = 403
            return page
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            self._session,
            max_age=_SIGNED_IN_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
