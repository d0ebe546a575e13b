"""What an app remembers of each browser: a bounded number of them, told apart by a secret cookie."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from fastapi import HTTPException, Request, Response

T = TypeVar("T")
COOKIE: Final = "socialsim-talk"
MOST: Final = 64  # browsers remembered at once; who was silent longest is forgotten first
_LENGTH: Final = 43  # of a secret


class Sitting(Generic[T]):
    """One browser: what it talks about, and the reply that is being written."""

    def __init__(self, talk: T) -> None:
        self.talk = talk
        self._work: asyncio.Task[Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether a reply is being written."""
        return self._work is not None and not self._work.done()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin a reply; it goes on if the page is closed meanwhile.

        Raises:
            HTTPException: 409 while another one is written.
        """
        if self.busy:
            work.close()
            raise HTTPException(409, "a reply is being written; wait for it")
        self._work = asyncio.create_task(work)
        return self._work

    async def stop(self) -> None:
        """End the reply that is being written, if there is one."""
        if self._work is not None and self.busy:
            self._work.cancel()
            await asyncio.wait([self._work])


class Sittings(Generic[T]):
    """The browsers of an app.

    Args:
        new: makes what a new browser talks about, from its secret.
        most: how many are remembered.
    """

    def __init__(self, new: Callable[[str], T], most: int = MOST) -> None:
        self._new, self._most = new, most
        self._known: OrderedDict[str, Sitting[T]] = OrderedDict()

    def of(self, request: Request) -> Sitting[T]:
        """The sitting of a browser that has opened the page.

        Raises:
            HTTPException: 403 for one that has not, 503 where all are busy.
        """
        secret = request.cookies.get(COOKIE, "")
        if len(secret) != _LENGTH:
            raise HTTPException(403, "open the page first; it sets a cookie")
        if secret not in self._known:
            self._make_room()
            self._known[secret] = Sitting(self._new(secret))
        self._known.move_to_end(secret)
        return self._known[secret]

    def _make_room(self) -> None:
        while len(self._known) >= self._most:
            idle = next((secret for secret, sitting in self._known.items() if not sitting.busy), None)
            if idle is None:
                raise HTTPException(503, f"{self._most} people are talking; try again later")
            del self._known[idle]


def give_cookie(request: Request, response: Response) -> None:
    """Give a browser its secret, if it has none; no script can read it."""
    if len(request.cookies.get(COOKIE, "")) != _LENGTH:
        response.set_cookie(COOKIE, secrets.token_urlsafe(32), httponly=True, samesite="strict")


async def finished(task: Awaitable[T]) -> T:
    """Wait for a reply that goes on even if the page is closed."""
    return await asyncio.shield(asyncio.ensure_future(task))
