"""A judge LM's part of the metric, in the plain calls that DSPy's optimisers make."""

from __future__ import annotations

import asyncio
import threading

from metrics.checks import Moment
from metrics.checks_judge import CheckJudge
from metrics.consistency_judge import StanceJudge, judge_stance
from metrics.verdicts import CheckVerdict, Rule
from socialsim.ask import Exhausted
from socialsim.schema import Speaker, Turn

_STANCE = {"supported": 1.0, "neutral": 1.0, "contradicted": 0.0}


class RuleJudge:
    """Judges what words alone do not decide: replies by three rules, the seeker's lines by their persona.

    Attributes:
        malformed: judgements given up; they are no part of a score.
    """

    def __init__(self) -> None:
        self._replies = CheckJudge()
        self._lines = StanceJudge()
        self._lock = threading.Lock()
        self.malformed = 0

    def verdicts(self, turn: Turn, moment: Moment) -> list[CheckVerdict]:
        """The judge's verdicts on a turn at its place in the dialogue.

        Raises:
            RoleError: if the judge LM does not answer.
        """
        if turn.speaker is Speaker.SEEKER:
            return self._line(turn, moment)
        judged = asyncio.run(self._replies.judge_turn(turn, moment))
        self._count(len(judged.errors))
        return list(judged.verdicts)

    def _line(self, turn: Turn, moment: Moment) -> list[CheckVerdict]:
        if moment.persona is None or not moment.history:
            return []
        try:
            answer = asyncio.run(judge_stance(self._lines, turn.text, moment.history, moment.persona))
        except Exhausted:
            self._count(1)
            return []
        score = _STANCE[answer.stance]
        feedback = "" if score else f"this contradicts the persona: {answer.fact}"
        return [CheckVerdict(rule=Rule.CONSISTENCY, score=score, feedback=feedback, turn=moment.number, judged=True)]

    def _count(self, malformed: int) -> None:
        with self._lock:
            self.malformed += malformed
