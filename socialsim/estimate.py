"""What a run would cost, from the prompts it would send."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import dspy

from programs.onepass import OnePass
from programs.simulate import Simulate
from socialsim.adapter import CompactAdapter
from socialsim.journal import read_records
from socialsim.loading import Programs
from socialsim.prices import price
from socialsim.run import Item
from socialsim.runconfig import Mode, RunConfig, Stage, by_batch, programs_for, roles_needed
from socialsim.runfolder import FILES
from socialsim.schema import Rejection, Role
from socialsim.taxonomy import MEAN_UTTERANCES

CHARACTERS_A_TOKEN = 4.0  # of English, for the usual tokenisers
_PERSONA_WORDS, _SEEKER_WORDS, _SUPPORTER_WORDS = 220, 18, 23  # Table 1's means for the two speakers
_TOKENS_A_WORD = 1.35
_REASONING_TOKENS = 110


@dataclass(frozen=True)
class Estimate:
    """Calls, tokens and cost of one role over a whole run; ``cost`` is USD or None if unknown."""

    role: Role
    spec: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


def open_items(config: RunConfig, items: Iterable[Item | Rejection]) -> int:
    """How many items a run would carry on, from its folder and its screened input; nothing is written."""

    def ids(name: str) -> list[str]:
        file = config.out / f"{name}.jsonl"
        return [record.id for record in read_records(file, FILES[name])] if file.is_file() else []

    ended = {*ids(config.stages[-1]), *ids("rejected")}
    begun = ids("personas" if config.stages[0] is Stage.DIALOGUES else "scenarios")
    new = (item.id for item in items if not isinstance(item, Rejection) and item.id not in ended)
    return sum(item_id not in ended for item_id in list(dict.fromkeys([*begun, *new]))[: config.limit])


def estimate(config: RunConfig, items: int) -> list[Estimate]:
    """Estimate what ``items`` items would take; retries are not counted. No LM is loaded.

    Dialogues are taken at the mean length, prompts at the size of the programs' real ones.
    """
    rows, programs = [], programs_for(config)
    for role in roles_needed(config):
        calls, prompt, completion = _per_item(config, programs, role)
        known = price(config.lms[role], by_batch(config, role))
        cost = known.of(prompt * items, completion * items) if known else None
        spec = config.lms[role].text
        rows.append(Estimate(role, spec, calls * items, prompt * items, completion * items, cost))
    return rows


def _per_item(config: RunConfig, programs: Programs, role: Role) -> tuple[int, int, int]:
    if role is Role.PERSONA:
        calls = (Stage.PERSONAS in config.stages) + (Stage.SCENARIOS in config.stages and config.lm_screening)
        return calls, calls * (_fixed(programs.persona.persona.write) + 300), calls * 250
    exchanges = MEAN_UTTERANCES // 2
    said = exchanges * (_SEEKER_WORDS + _SUPPORTER_WORDS) * _TOKENS_A_WORD
    reasoning = _REASONING_TOKENS if config.simulation.nodes else 0
    persona = int(_PERSONA_WORDS * _TOKENS_A_WORD)
    if config.mode is Mode.ONEPASS:
        assert isinstance(programs.dialogue, OnePass)
        prompt = _fixed(programs.dialogue.onepass.write) + 3200 + persona
        return 1, prompt, int(said + exchanges * reasoning)
    assert isinstance(programs.dialogue, Simulate)
    leaf = programs.dialogue.seeker.speak if role is Role.SEEKER else programs.dialogue.supporter.reply
    # The transcript grows from nothing to all that is said: half of it on average.
    prompt = int(exchanges * (_fixed(leaf) + (persona if role is Role.SEEKER else 60) + said / 2))
    words = _SEEKER_WORDS if role is Role.SEEKER else _SUPPORTER_WORDS
    completion = exchanges * (words * _TOKENS_A_WORD + 12 + (reasoning if role is Role.SUPPORTER else 0))
    return exchanges, prompt, int(completion)


def _fixed(predictor: dspy.Predict) -> int:
    """Tokens of the system message and the demonstrations."""
    messages = CompactAdapter().format(predictor.signature, predictor.demos, {})
    return int(sum(len(message["content"]) for message in messages) / CHARACTERS_A_TOKEN)
