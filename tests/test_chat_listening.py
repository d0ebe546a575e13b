"""An answer is heard while it is written: phases, then the reply's draft, never more than what is said."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialsim.chat.conversation import Conversation
from socialsim.chat.incremental import fields_so_far
from socialsim.chat.listening import Heard
from socialsim.chat.supporter import BoundSupporter, SupporterConfig
from socialsim.errors import LMError
from socialsim.lms import parse_spec
from tests.answering_server import answering_server
from tests.chats import bound
from tests.scripted import valid_answers

TEXTS = st.dictionaries(
    st.text(min_size=1), st.text() | st.lists(st.text(alphabet="abc#'\\ 中")), min_size=1, max_size=4
)


@given(TEXTS, st.booleans(), st.sampled_from(["", "Here it is:\n```json\n"]), st.data())
def test_every_beginning_of_an_object_gives_the_beginnings_of_its_texts(
    answer: dict[str, Any], escaped: bool, before: str, data: st.DataObject
) -> None:
    whole = before + json.dumps(answer, ensure_ascii=escaped)
    cut = data.draw(st.integers(0, len(whole)))
    fields = fields_so_far(whole[:cut])
    assert [field.name for field in fields] == list(answer)[: len(fields)]
    for field in fields:
        value = answer[field.name]
        assert isinstance(value, str) or field.text == ""
        assert isinstance(value, list) or value.startswith(field.text)


@given(TEXTS)
def test_a_whole_object_gives_all_of_them(answer: dict[str, Any]) -> None:
    found = {field.name: field.text for field in fields_so_far(json.dumps(answer))}
    assert found == {name: value if isinstance(value, str) else "" for name, value in answer.items()}


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    fields_so_far(text)
    fields_so_far("{" + text)


async def heard_from(answer: Any, message: str = "Hello") -> tuple[list[Heard], str]:
    heard: list[Heard] = []
    with answering_server(answer) as server:
        config = SupporterConfig(parse_spec(server.spec), shots=0)
        reply = await Conversation(BoundSupporter(config)).say(message, heard.append)
    return heard, reply.text


async def test_a_server_is_heard_phase_by_phase_and_word_by_word() -> None:
    heard, reply = await heard_from(valid_answers(utterance="I hear you. What happened then?"))
    phases = list(dict.fromkeys(one.phase for one in heard))
    assert phases == ["reading", "situation", "thought", "action", "strategy", "reply", "checking"]
    drafts = [one.draft for one in heard if one.phase == "reply"]
    assert len(drafts) > 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(drafts))
    assert reply.startswith(drafts[-1])


async def test_an_answer_that_is_asked_again_begins_again() -> None:
    valid, said = valid_answers(), iter(["Seeker: who? Supporter: me.", "I hear you. What happened then?"])
    heard, reply = await heard_from(lambda request: valid(request) | {"utterance": next(said)})
    assert [one.phase for one in heard].count("checking") == 2
    after = [one.phase for one in heard][[one.phase for one in heard].index("checking") + 1 :]
    assert after[0] == "situation"
    assert "Seeker" not in reply


async def test_an_lm_that_cannot_stream_is_waited_for() -> None:
    heard: list[Heard] = []
    reply = await Conversation(bound()).say("Hello", heard.append)
    assert heard == [Heard("reading")]
    assert reply.text


async def test_a_stream_that_fails_is_an_error_in_one_line() -> None:
    with pytest.raises(LMError, match="supporter LM"):
        await heard_from(lambda _: {"error": 500})


@pytest.mark.embedded
async def test_the_embedded_model_is_heard_and_counted() -> None:
    heard: list[Heard] = []
    conversation = Conversation(BoundSupporter(SupporterConfig(parse_spec("embedded"))))
    reply = await conversation.say("I lost my job last week and cannot tell my wife.", heard.append)
    drafts = [one.draft for one in heard if one.draft]
    assert len(drafts) > 4
    assert any(reply.text.startswith(draft) for draft in drafts)
    assert conversation.usages[0].completion_tokens > len(reply.text.split())


async def test_a_fixed_text_is_not_streamed() -> None:
    heard, _ = await heard_from(None, "I want to die")
    assert heard == []
