"""`socialsim chat` on the terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path

from socialsim.chat.conversation import Conversation
from socialsim.chat.supporter import BoundSupporter
from socialsim.cli.chat_screen import Screen
from socialsim.errors import SocialSimError

HELP = (
    "/reasoning  show what the supporter thought before its last reply, and from now on; again: hide it\n"
    "/save [FILE]  save the transcript (FILE ends in .jsonl); nothing is saved otherwise\n"
    "/restart  begin another conversation\n"
    "/quit  end"
)


class Terminal:
    """One person at a terminal.

    Args:
        supporter: whom the person talks to.
        file: where a transcript goes unless /save names another.
        screen: where it is shown.
    """

    def __init__(self, supporter: BoundSupporter, file: Path, screen: Screen | None = None) -> None:
        self._supporter, self._file = supporter, file
        self._screen = screen or Screen()
        self._conversation = Conversation(supporter)
        self._thinking_aloud = False

    def run(self) -> None:
        """Talk until /quit or the end of input; Ctrl-C stops a reply, and ends the chat at the prompt."""
        screen = self._screen
        screen.note()
        screen.say(f"Supporter: {self._supporter.config.lm.text} · program: {self._supporter.source} · /help")
        with asyncio.Runner() as runner:
            try:
                for line in screen.lines(lambda: "You"):
                    if line in ("/quit", "/exit"):
                        break
                    self._do(runner, line)
            except KeyboardInterrupt:
                screen.say("")
        if len(self._conversation.turns) > self._conversation.saved:
            screen.say("This conversation was not saved." if not self._conversation.saved else "Its end was not saved.")

    def _do(self, runner: asyncio.Runner, line: str) -> None:
        try:
            if line.startswith("/"):
                self._command(*line.split(maxsplit=1))
            else:
                self._reply(runner, line)
        except SocialSimError as error:
            self._screen.problem(error)

    def _reply(self, runner: asyncio.Runner, line: str) -> None:
        try:
            with self._screen.waiting("Supporter") as heard:
                reply = runner.run(self._conversation.say(line, heard))
        except KeyboardInterrupt:
            self._screen.say("Stopped; your last message was not kept.")
            return
        self._screen.reply("Supporter", reply)
        if self._thinking_aloud and reply.reasoning:
            self._screen.reasoning(reply.reasoning)

    def _command(self, name: str, rest: str = "") -> None:
        screen, conversation = self._screen, self._conversation
        if name == "/reasoning":
            self._thinking_aloud = not self._thinking_aloud
            if self._thinking_aloud and conversation.turns:
                screen.reasoning(conversation.reasoning)
            screen.say(f"Reasoning is {'shown' if self._thinking_aloud else 'hidden'} from now on.")
        elif name == "/save":
            file = Path(rest.strip()).expanduser() if rest.strip() else self._file
            made = conversation.save(file)
            screen.say(f"Saved as {made} in {file} · read it: socialsim show {file} {made}")
        elif name == "/restart":
            left = len(conversation.turns) > conversation.saved
            self._conversation = Conversation(self._supporter)
            screen.say(f"A new conversation.{' The last one was not saved.' if left else ''}")
        else:
            screen.say(HELP if name == "/help" else f"{name} is no command:\n{HELP}")
