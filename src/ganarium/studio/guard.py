"""The gate before every call of the studio: who calls, from where, and how much they may send.

The studio can start trainings and read pictures, so a page of the internet that is open in the same browser must not
reach it. Every call needs the token. The Host must be an address of the studio itself (against DNS rebinding), an
Origin must be the studio's own (against posts of other sites), and a body may be so large and no larger.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 1 << 20  # bytes of a call that only says what to do
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


class TooLarge(Exception):
    """A body that is larger than its call may send."""


class Guard:
    """Wraps an ASGI app. `hosts` are the values of Host that are answered, `limits` the bytes of a body by path."""

    def __init__(self, app: App, token: str, hosts: frozenset[str], limits: dict[str, int]) -> None:
        self.app, self.token, self.hosts, self.limits = app, token, hosts, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no other protocol is spoken here
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal:
            await _answer(send, *refusal)
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and scope["path"] == "/":  # the address that was printed: the token goes out of the address bar
            await self._welcome(scope, send)
            return
        limit = self.limits.get(scope["path"], MAX_BODY)
        if int(headers.get("content-length") or 0) > limit:
            await _answer(send, 413, _too_large(limit))
            return
        received, started, over = 0, False, False

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal received, over
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                over = True
                raise TooLarge
            return message

        async def hardened(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if over and not started:
                return  # what the app says of the body that was cut: the answer is below
            if message["type"] == "http.response.start":
                started = True
                own = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in own)]
            await send(message)

        try:
            await self.app(scope, bounded, hardened)
        except Exception:
            if not over:
                raise
        if over and not started:
            await _answer(send, 413, _too_large(limit))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            return 421, "this is not an address of the studio: open the one that `ganarium studio` has printed."
        origin = headers.get("origin")
        own = (f"http://{host}", f"https://{host}")
        if origin is not None and origin.lower() not in own:
            return 403, "calls from other sites are not answered."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            link = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate" and scope["path"] == "/"
            if not link:
                return 403, "calls from other sites are not answered."
        if headers.get("content-length", "0").strip().isdecimal() is False:
            return 400, "the length of the call cannot be read."
        if not self._known(scope, headers):
            return 401, "the token is not right: open the address that `ganarium studio` has printed."
        return None

    def _known(self, scope: Scope, headers: dict[str, str]) -> bool:
        offered = [headers.get("authorization", "").removeprefix("Bearer ")]
        if scope["path"] == "/":
            offered += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(headers["host"]))
        except CookieError:
            cookie = None
        offered += [cookie.value] if cookie else []
        return any(hmac.compare_digest(word.encode(), self.token.encode()) for word in offered)

    async def _welcome(self, scope: Scope, send: Send) -> None:
        host = dict(scope["headers"])[b"host"].decode("latin-1")
        cookie = f"{_cookie_name(host)}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), *HEADERS]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


HEADERS = [
    (b"content-security-policy", PAGE_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


def _cookie_name(host: str) -> str:
    """Cookies do not know ports: two studios on one machine need a name each."""
    return f"ganarium-studio-{host.rsplit(':', 1)[-1] if ':' in host else 'default'}".replace("]", "")


def _too_large(limit: int) -> str:
    return f"that is too large: at most {limit / 2**20:,.0f} MiB may be sent here at once."


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
