"""What a run would cost, from the prompts it would send."""

from __future__ import annotations

from dataclasses import dataclass

import dspy

from programs.onepass import OnePass
from programs.simulate import Simulate
from socialsim.adapter import CompactAdapter
from socialsim.lms import price
from socialsim.run import Mode, Run, Stage, roles_needed
from socialsim.schema import Role
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


def estimate(run: Run, items: int) -> list[Estimate]:
    """Estimate what ``items`` items would take; retries are not counted.

    Dialogues are taken at the mean length, prompts at the size of the programs' real ones.
    """
    rows = []
    for role in roles_needed(run.config):
        calls, prompt, completion = _per_item(run, role)
        known = price(run.config.lms[role])
        cost = known.of(prompt * items, completion * items) if known else None
        spec = run.config.lms[role].text
        rows.append(Estimate(role, spec, calls * items, prompt * items, completion * items, cost))
    return rows


def _per_item(run: Run, role: Role) -> tuple[int, int, int]:
    config, programs = run.config, run.programs
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
    prompt = exchanges * (_fixed(leaf) + (persona if role is Role.SEEKER else 60) + said / 2)
    words = _SEEKER_WORDS if role is Role.SEEKER else _SUPPORTER_WORDS
    completion = exchanges * (words * _TOKENS_A_WORD + 12 + (reasoning if role is Role.SUPPORTER else 0))
    return exchanges, int(prompt), int(completion)


def _fixed(predictor: dspy.Predict) -> int:
    """Tokens of the system message and the demonstrations."""
    messages = CompactAdapter().format(predictor.signature, predictor.demos, {})
    return int(sum(len(message["content"]) for message in messages) / CHARACTERS_A_TOKEN)
