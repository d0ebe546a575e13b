"""The fixed texts: what is said instead of a generated reply, and the note that stands above every chat.

The numbers are a few that hold for whole regions; whoever runs this for people elsewhere names those of the place.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from socialsim.chat.danger import Danger, all_clear, danger
from socialsim.schema import Flag, Speaker, Turn
from socialsim.text import is_chinese

NOTE: Final = (
    "This is a research tool, not a counsellor. Replies are written by a language model and may be wrong or hurtful. "
    "If anybody may be in danger, call your local emergency number or a crisis line."
)
KIND: Final = "safety"  # of the flag that both turns of such an exchange carry
_ASKED_NOTHING: Final = "fixed text; no LM was asked"

_NUMBERS: Final = "112 in Europe, 911 in the USA and Canada, 999 in the UK, 110 or 120 in China"
_GO_ON: Final = "If nobody is in danger and you want to go on, write: I am safe."
_OPENING: Final = (
    "Thank you for saying this. It sounds serious, and this program cannot help with it: it is a research tool. Do "
    "not count on anybody reading along; no reply was generated to what you wrote."
)
_GO_ON_ZH: Final = "如果没有人处于危险之中，而你想继续对话，请写：我很安全。"
_OPENING_ZH: Final = (
    "谢谢你说出来。这听起来很严重，而这个程序帮不了你：它只是研究工具，请不要指望有人在看；也没有为你的话生成任何回复。"
)

_TEXTS: Final[dict[Danger, str]] = {
    Danger.SELF_HARM: (
        f"{_OPENING}\n\nPlease turn to a person now. If you or somebody near you may be in danger, call your "
        f"local emergency number ({_NUMBERS}). A crisis line listens day and night, by phone or by chat, in "
        "many countries: findahelpline.com lists them. If you can, go to somebody you trust, and put out "
        f"of reach whatever you could be hurt with. You do not have to carry this alone.\n\n{_GO_ON}"
    ),
    Danger.VIOLENCE: (
        f"{_OPENING}\n\nNobody has the right to hurt or threaten you. If you are in danger now, get to a safe "
        f"place if you can, and call your local emergency number ({_NUMBERS}). Lines for people who are "
        "hurt or threatened, at home too, can be found at findahelpline.com; a doctor, a teacher or "
        f"somebody you trust can also help you to reach one.\n\n{_GO_ON}"
    ),
    Danger.THREAT: (
        f"{_OPENING}\n\nIf you might hurt somebody, step away from them now, put out of reach whatever could "
        f"hurt, and call your local emergency number ({_NUMBERS}) or a crisis line: findahelpline.com lists "
        "those that listen day and night. Asking for help before something happens protects you too."
        f"\n\n{_GO_ON}"
    ),
}
_TEXTS_ZH: Final[dict[Danger, str]] = {
    Danger.SELF_HARM: (
        f"{_OPENING_ZH}\n\n请现在就找一个真实的人。如果你或身边的人可能有危险，请拨打当地的紧急电话（中国：110 "
        "或 120）。很多地方都有全天的危机干预热线（中国：12356；其他地方见 findahelpline.com）。如果可以，"
        f"请到你信任的人身边去，并把可能伤到你的东西放到拿不到的地方。你不必一个人扛着。\n\n{_GO_ON_ZH}"
    ),
    Danger.VIOLENCE: (
        f"{_OPENING_ZH}\n\n没有人有权利伤害或威胁你。如果你现在有危险，请尽量去一个安全的地方，并拨打当地的紧急"
        "电话（中国：110 或 120）。也可以联系妇联热线 12338、心理援助热线 12356，或 findahelpline.com 上的"
        f"求助热线；你信任的人、医生或老师也能帮你联系。\n\n{_GO_ON_ZH}"
    ),
    Danger.THREAT: (
        f"{_OPENING_ZH}\n\n如果你可能伤害别人，请现在就离开对方，把可能伤人的东西放到拿不到的地方，并拨打当地的"
        "紧急电话（中国：110 或 120）或心理援助热线（中国：12356；其他地方见 findahelpline.com）。在事情发"
        f"生之前求助，也是在保护你自己。\n\n{_GO_ON_ZH}"
    ),
}
_SAFE: Final = (
    "Thank you for telling me. What you wrote before is kept out of what the language model sees. Go on when you like."
)
_SAFE_ZH: Final = "谢谢你告诉我。刚才那些话不会给语言模型看。你想说的时候，请继续。"


class Fixed(NamedTuple):
    """A fixed text, and the danger it is about; None for the one after an all-clear."""

    about: Danger | None
    text: str


def fixed_reply(message: str, before: Turn | None = None) -> Fixed | None:
    """The fixed text a message gets; None where an LM may be asked.

    After such a text, an answer such as "yes" or "tonight" would tell no rule anything. So the chat goes on only after
    a plain all-clear, and every other message gets the text again.

    Args:
        message: as the person wrote it.
        before: the supporter's last turn, if there is one.
    """
    chinese = is_chinese(message)
    texts = _TEXTS_ZH if chinese else _TEXTS
    found, waiting = danger(message), before and _about(before)
    if waiting and not found and all_clear(message):
        return Fixed(None, _SAFE_ZH if chinese else _SAFE)
    # "I am not safe" after a text about self-harm is about that still.
    about = found if found is Danger.SELF_HARM or not waiting else waiting
    return Fixed(about, texts[about]) if about else None


def fixed_exchange(message: str, fixed: Fixed) -> tuple[Turn, Turn]:
    """A message and its fixed reply, both marked, so that nothing of them reaches an LM later."""
    flags = (Flag(kind=KIND, detail=f"{fixed.about or 'all clear'}: {_ASKED_NOTHING}"),)
    return (
        Turn(speaker=Speaker.SEEKER, text=message, flags=flags),
        Turn(speaker=Speaker.SUPPORTER, text=fixed.text, flags=flags),
    )


def is_fixed(turn: Turn) -> bool:
    """Whether a turn belongs to an exchange that no LM may see."""
    return any(flag.kind == KIND for flag in turn.flags)


def is_calm(turn: Turn) -> bool:
    """Whether a fixed text follows an all-clear."""
    return is_fixed(turn) and _about(turn) is None


def _about(turn: Turn) -> Danger | None:
    named = {flag.detail.partition(":")[0] for flag in turn.flags if flag.kind == KIND}
    return next((kind for kind in Danger if kind in named), None)
