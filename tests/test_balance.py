from __future__ import annotations

from socialsim.engines.balance import Balancer

DIALOGUE = "Seeker: Hello, are you there?\nSupporter: I am. What brings you here tonight?\n"


def seats(balancer: Balancer, prompts: list[str]) -> list[int]:
    """The servers of prompts that come one after another."""
    found = []
    for prompt in prompts:
        with balancer.seat(prompt) as index:
            found.append(index)
    return found


def test_a_dialogue_stays_where_its_beginning_is_cached() -> None:
    balancer = Balancer(3)
    other = "Persona: a gardener of sixty, and quite another story that goes on for a while."
    first, *_ = seats(balancer, [DIALOGUE])
    assert seats(balancer, [other, DIALOGUE + "Seeker: My neighbour moved away."])[1] == first


def test_new_dialogues_go_to_the_least_busy_server() -> None:
    balancer = Balancer(2)
    with balancer.seat("one story, told at length") as first, balancer.seat("another, and no less long") as second:
        assert {first, second} == {0, 1}


def test_a_server_is_free_again_after_its_prompt() -> None:
    balancer = Balancer(2)
    assert seats(balancer, ["alpha beta gamma", "delta epsilon zeta", "eta theta iota", "kappa lambda mu"]) == [
        0,
        1,
        0,
        1,
    ]
