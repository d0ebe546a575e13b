"""What a turn is for: the part of the prompts that moves with the conversation.

Stages follow Hill's order (exploration, comforting, action), with room to go back; the last
exchange is a farewell. All eight strategies are to appear, so a missing one becomes due
when only as many exchanges are left as there are missing ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

from socialsim.schema import Speaker, StagedStrategy, Turn
from socialsim.taxonomy import STAGED_STRATEGIES, Stage, Strategy


@dataclass(frozen=True)
class Pace:
    """Where in the conversation a turn stands.

    Attributes:
        exchange: 1-based number of the exchange.
        total: exchanges planned.
    """

    exchange: int
    total: int

    @property
    def stage(self) -> Stage:
        """The stage that fits this exchange."""
        position = self.exchange / self.total
        if position <= 0.4:
            return Stage.EXPLORATION
        return Stage.COMFORTING if position <= 0.65 else Stage.ACTION

    @property
    def last(self) -> bool:
        """Whether this is the farewell."""
        return self.exchange >= self.total


_STAGED: Final = {name: StagedStrategy.parse(name) for name in STAGED_STRATEGIES}


def used_strategies(history: Sequence[Turn]) -> tuple[Strategy, ...]:
    """The strategies of the supporter's turns so far, in order."""
    reasoned = [turn.reasoning for turn in history if turn.reasoning is not None]
    return tuple([choice.strategy for reasoning in reasoned for choice in reasoning.strategies])


def due_strategies(pace: Pace, history: Sequence[Turn]) -> list[Strategy]:
    """Missing strategies that can wait no longer; the farewell itself is for `Strategy.OTHERS`."""
    return _due(pace, used_strategies(history))


def _due(pace: Pace, used: tuple[Strategy, ...]) -> list[Strategy]:
    missing: list[Strategy] = [s for s in Strategy if s not in used and s is not Strategy.OTHERS]
    if pace.last:
        return [Strategy.OTHERS] if Strategy.OTHERS not in used else []
    return missing if missing and pace.total - pace.exchange <= len(missing) else []


def allowed_strategies(pace: Pace, history: Sequence[Turn]) -> tuple[str, ...]:
    """The choices of a supporter turn, as ``Stage#Strategy``: what is due, else what fits the moment.

    Exploration comes before comforting, comforting before action (an earlier stage may return);
    nothing is used three times in a row; pleasantries are for the greeting and the farewell.
    """
    last_two = list(islice((turn for turn in reversed(history) if turn.speaker is Speaker.SUPPORTER), 2))
    chosen = [set(used_strategies([turn])) for turn in last_two]
    worn = chosen[0] & chosen[1] if len(chosen) == 2 else set[Strategy]()
    return _allowed(pace, used_strategies(history), frozenset(worn))


@lru_cache(maxsize=4096)
def _allowed(pace: Pace, used: tuple[Strategy, ...], worn: frozenset[Strategy]) -> tuple[str, ...]:
    if pace.exchange == 1:
        return ("Others", "Exploration#Question")
    if due := _due(pace, used):
        chosen = [name for name, staged in _STAGED.items() if staged.strategy in due]
        return tuple([name for name in chosen if name.startswith(pace.stage)] or chosen)
    if pace.last:
        return ("Others", "Comforting#Affirmation and Reassurance", "Action#Affirmation and Reassurance")
    reached = tuple(Stage)[: tuple(Stage).index(pace.stage) + 1]
    return tuple(name for name, staged in _STAGED.items() if staged.stage in reached and staged.strategy not in worn)


def seeker_cue(pace: Pace, history: Sequence[Turn], concerns: int) -> str:
    """What the seeker's next turn is for.

    Args:
        pace: where the turn stands.
        history: the turns before it.
        concerns: new concerns the seeker was already invited to raise.
    """
    if pace.exchange == 1:
        return "Open with a short greeting, nothing more."
    if pace.exchange == 2:
        return "Answer the greeting, then say in a sentence or two what brings you here."
    if pace.last:
        return "Say where you stand now and take your leave in your own way."
    if may_raise_concern(history, concerns):
        return "Say what you think of the suggestion, then bring up one related worry you have not mentioned."
    if pace.stage is Stage.EXPLORATION:
        return "Answer, then tell one more thing about what happened or how it began."
    if pace.stage is Stage.COMFORTING:
        return "Answer, then say more of what it does to you or what you have tried."
    return "Answer, then say what you would or would not do, and what holds you back."


def may_raise_concern(history: Sequence[Turn], concerns: int) -> bool:
    """Whether the last supporter turn suggested something (no greeting does) and a concern is still free."""
    last = next((turn for turn in reversed(history) if turn.speaker is Speaker.SUPPORTER), None)
    suggested = last is not None and Strategy.SUGGESTIONS in {choice.strategy for choice in last.strategies}
    return suggested and len(history) > 2 and concerns < 2


def supporter_cue(pace: Pace, history: Sequence[Turn], with_strategy: bool) -> str:
    """How far the conversation is, what was used, what fits now."""
    lines = [f"Exchange {pace.exchange} of {pace.total}."]
    if pace.last:
        lines.append("Say goodbye warmly and leave the door open.")
    elif pace.exchange == 1:
        lines.append("Greet the seeker and ask what brings them here.")
    else:
        lines.append(f"Stage: {pace.stage.lower()}.")
    if with_strategy:
        lines += _strategy_lines(pace, history)
    return " ".join(lines)


def _strategy_lines(pace: Pace, history: Sequence[Turn]) -> list[str]:
    return _lines(pace, used_strategies(history), allowed_strategies(pace, history))


@lru_cache(maxsize=4096)
def _lines(pace: Pace, used: tuple[Strategy, ...], choices: tuple[str, ...]) -> list[str]:
    allowed = {_STAGED[name].strategy for name in choices}
    lines = []
    if used:
        counts = ", ".join(f"{strategy} {used.count(strategy)}" for strategy in Strategy if strategy in used)
        lines.append(f"Used so far: {counts}.")
    if due := [strategy for strategy in _due(pace, used) if strategy in allowed]:
        lines.append(f"Use now: {' or '.join(due)}.")
    elif fresh := [strategy for strategy in Strategy if strategy in allowed and strategy not in used]:
        lines.append(f"Not used yet: {', '.join(fresh)}.")
    return lines
