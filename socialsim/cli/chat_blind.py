"""`socialsim chat --blind` on the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from signatures.arena import ASPECTS, Aspect, Preferred
from socialsim.chat.blind import AspectRating, BlindRating
from socialsim.chat.blind_talk import NAMES, BlindTalk, opened
from socialsim.chat.supporter import BoundSupporter
from socialsim.cli.chat_screen import Screen
from socialsim.errors import SocialSimError

HELP: Final = "/next  talk to the other model · /rate  rate both · /quit  end; the same command goes on later"
_PREFERRED: Final = {"1": Preferred.FIRST, "2": Preferred.SECOND, "t": Preferred.TIE, "tie": Preferred.TIE}


def compare(supporters: Mapping[str, BoundSupporter], path: Path, exchanges: int, rater: str) -> None:
    """Begin a session, or go on with the rater's open one."""
    screen = Screen()
    with opened(path, supporters, exchanges) as folder:
        before = folder.open_session(rater)
        talk = BlindTalk(folder, supporters, before or folder.begin(rater))
        screen.note()
        screen.say(
            f"Talk to {NAMES[0]} and {NAMES[1]}, at least {exchanges} exchanges each, then rate both. Every exchange "
            f"is kept in {path}.\n{HELP}"
        )
        if before:
            screen.say(f"Going on with session {before.id}.")
        _Session(talk, screen).run()


class _Session:
    def __init__(self, talk: BlindTalk, screen: Screen) -> None:
        self._talk, self._screen = talk, screen
        self._place = int(talk.progress(0).enough and not talk.progress(1).enough)

    def run(self) -> None:
        screen = self._screen
        self._say_place()
        with asyncio.Runner() as runner:
            try:
                for line in screen.lines(self._prompt):
                    if line in ("/quit", "/exit"):
                        break
                    if line == "/rate":
                        self._rate()
                    else:
                        self._do(runner, line)
                    if self._talk.rated:
                        return
            except KeyboardInterrupt:
                screen.say("")
        screen.say("Not rated yet. What was said is kept: the same command goes on.")

    def _prompt(self) -> str:
        done, needed = self._talk.progress(self._place)
        return f"You to {NAMES[self._place]} ({f'{done + 1}/{needed}' if done < needed else 'enough'})"

    def _do(self, runner: asyncio.Runner, line: str) -> None:
        screen, name = self._screen, NAMES[self._place]
        if line == "/next":
            self._place = 1 - self._place
            self._say_place()
            return
        if line.startswith("/"):
            screen.say(HELP if line == "/help" else f"{line.split()[0]} is no command: {HELP}")
            return
        try:
            with screen.waiting(name):  # no draft: how a reply comes about could tell the model
                reply = runner.run(self._talk.say(self._place, line))
        except SocialSimError as error:
            screen.problem(error)
            return
        except KeyboardInterrupt:
            screen.say("Stopped; your last message was not kept.")
            return
        screen.reply(name, reply)
        self._say_progress()

    def _say_place(self) -> None:
        self._screen.say(f"You are talking to {NAMES[self._place]}.", "bold")

    def _say_progress(self) -> None:
        done, needed = self._talk.progress(self._place)
        if self._talk.ready and done == needed:
            self._screen.say("Both were talked to long enough: /rate when you like, or talk on.", "bold")
        elif done == needed:
            self._screen.say(f"{needed} exchanges with {NAMES[self._place]}: /next when you like, or talk on.", "bold")

    def _rate(self) -> None:
        if not self._talk.ready:
            counts = [f"{self._talk.progress(place).done} with {name}" for place, name in enumerate(NAMES)]
            needed = self._talk.progress(0).needed
            self._screen.say(f"{' and '.join(counts)}: at least {needed} exchanges with each before you rate.")
            return
        rating = self._asked()
        if rating is None:
            self._screen.say("Not rated; /rate begins again.")
            return
        first, second = self._talk.rate(rating)
        self._screen.say(f"Kept. {NAMES[0]} was {first}, {NAMES[1]} was {second}.", "bold green")

    def _asked(self) -> BlindRating | None:
        """The rating, aspect by aspect; None where the person breaks off."""
        self._screen.say(
            "For each aspect: a score from 0 to 3 for each model, then 1, 2 or t (tie) for the better one."
        )
        given: dict[Aspect, AspectRating] = {}
        for aspect in Aspect:
            self._screen.console.print(f"\n[bold]{aspect.capitalize()}[/]: {ASPECTS[aspect].question}")
            self._screen.say("\n".join(f"  {score}  {text}" for score, text in enumerate(ASPECTS[aspect].anchors)))
            if (answer := self._aspect(aspect)) is None:
                return None
            given[aspect] = answer
        return BlindRating(id=self._talk.session.id, aspects=given)

    def _aspect(self, aspect: Aspect) -> AspectRating | None:
        while True:
            scores = [self._one(f"{name}, {aspect} 0-3", "0123") for name in NAMES]
            if None in scores:
                return None
            better = self._one("Better: 1, 2 or t", "12t")
            if better is None:
                return None
            try:
                return AspectRating(first=int(scores[0] or 0), second=int(scores[1] or 0), preferred=_PREFERRED[better])
            except ValueError:
                self._screen.say("The preferred model has the lower score; make them agree.", "red")

    def _one(self, prompt: str, allowed: str) -> str | None:
        for line in self._screen.lines(lambda: prompt):
            if line == "/quit":
                return None
            if len(line) == 1 and line.lower() in allowed:
                return line.lower()
            self._screen.say(f"One of {', '.join(allowed)}; /quit breaks off.")
        return None
