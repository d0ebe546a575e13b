"""Post to Scenario: screened by an LM, then translated (paper: "Help-Seeking Scenario Collection").

Rules and duplicates come first and need no LM: `socialsim.screening.screen_by_rule`.
"""

from __future__ import annotations

from collections.abc import Sequence

import dspy

from signatures.intake import Screening, ScreenPost, TranslatePost, Translation, Verdict
from socialsim.ask import BadAnswer, Exhausted, ask, ask_until
from socialsim.predict import Predict
from socialsim.schema import Original, Post, Rejection, Role, Scenario
from socialsim.screening import Reason, reject, translation_fault
from socialsim.text import is_chinese

_REASONS: dict[Verdict, Reason] = {
    "irrelevant": Reason.IRRELEVANT,
    "self_harm": Reason.SELF_HARM,
    "racial_discrimination": Reason.RACE,
    "medical_treatment": Reason.MEDICAL,
}


class Intake(dspy.Module):
    """Screen one post with an LM, and translate it where it is Chinese.

    Args:
        lm_screening: whether an LM judges the post before it is translated. Switch it off for LMs too small to judge.
        tries: how often the LM is asked at most for one usable answer.
    """

    def __init__(self, lm_screening: bool, tries: int = 3) -> None:
        super().__init__()
        self.lm_screening = lm_screening
        self.tries = tries
        self.screen = Predict(ScreenPost)
        self.translate = Predict(TranslatePost)

    async def aforward(self, post: Post) -> Scenario | Rejection:
        """Turn a post that passed the rules into a scenario, or say why not.

        Raises:
            RoleError: if the LM did not answer; only unusable answers become rejections.
        """
        rejection = await self._screened(post) if self.lm_screening else None
        if rejection:
            return rejection
        if is_chinese(post.description) or is_chinese(post.question):
            return await self._translated(post)
        return _scenario(post)

    async def _screened(self, post: Post) -> Rejection | None:
        async def attempt(correction: str) -> Screening:
            answer: Screening = await ask(Role.PERSONA, self.screen, **_inputs(post, correction))
            return answer

        try:
            screening = await ask_until(attempt, self.tries)
        except Exhausted as error:
            return reject(post, Reason.UNSCREENED, str(error), error.reasons)
        reason = _REASONS.get(screening.verdict)
        return reject(post, reason, screening.reason) if reason else None

    async def _translated(self, post: Post) -> Scenario | Rejection:
        async def attempt(correction: str) -> Translation:
            answer: Translation = await ask(Role.PERSONA, self.translate, **_inputs(post, correction))
            if faults := _faults(post, answer):
                raise BadAnswer("; ".join(faults))
            return answer

        try:
            return _scenario(post, await ask_until(attempt, self.tries))
        except Exhausted as error:
            return reject(post, Reason.UNTRANSLATABLE, str(error), error.reasons)


def _inputs(post: Post, correction: str) -> dict[str, str]:
    return {"question": post.question, "description": post.description, "correction": correction}


def _faults(post: Post, translation: Translation) -> Sequence[str]:
    pairs = [("description", post.description, translation.description)]
    if post.question.strip():
        pairs.append(("question", post.question, translation.question))
    return [f"{name}: {fault}" for name, before, after in pairs if (fault := translation_fault(before, after))]


def _scenario(post: Post, translation: Translation | None = None) -> Scenario:
    fields = post.model_dump()
    if translation:
        question = translation.question.strip() if post.question.strip() else ""
        original = Original(language="zh", question=post.question, description=post.description)
        fields |= {"question": question, "description": translation.description, "original": original}
    return Scenario.model_validate(fields)
