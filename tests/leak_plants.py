"""Facts of the demonstrations' personas, chosen by eye: what a supporter could give away too early.

One line a demonstration: numbers | names | places | paraphrases, lists split by semicolons; an indented line goes on.
Chosen from the personas' texts, not from what the extraction finds. "One" is left out: it is everyday talk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from socialsim.schema import Demonstration, Speaker

_LINES = """
behavior-1: eight weeks; twenty photos; twenty minutes | | Mendoza; San Rafael; Argentina |
    your other half thinks you are idle; the wine estate where you worked
behavior-2: five million dong; three rooms; seven people; a 24-year-old | | Hanoi; Dong Da |
    your little nieces share your bed; someone went through your texts
behavior-3: forty people; 6:10; eleven times; fifty minutes | Nadine | Cairo; Ain Sokhna; Egypt |
    she is expecting; your siblings drove to the coast
behavior-4: twenty years; three weeks ago; two posts | Gareth; Priya; Megan | Cardiff |
    your teenage girl asked what you think; the one with the stutter
behavior-5: two hundred goats; nine hours; thirty people; six times | Karen; Ruby | Newman; Perth; Western Australia |
    that pretend farm on your screen; your sibling nearby
emotion-1: sixty people; six hours; nineteen-year-old | Stelios; Katerina | Volos; Greece |
    the trainee you yelled at; the child who was in tears
emotion-2: forty-one missed calls; 3:14 | | Makassar; Paotere; Indonesia |
    your dad was lost at sea; a reprimand on paper
emotion-3: two weeks ago; sixteen years old | Camilo; Sara | Envigado; Medellín; Colombia |
    her mum and dad are splitting up; the picture that goes round
emotion-4: nine hundred kilometres; seven years; twenty-nine | Claire | Rennes; Grenoble; France |
    your child's break-up; mending the heating for her
emotion-5: four hundred; fourteen months; forty days | Serwaa | Kumasi; Ghana |
    your late mum founded the place; your kids get ready alone
emotion-6: twenty-two; forty dollars; eleven hundred; 1969 | Petrie; Ted; Shell | Nelson; New Zealand |
    the pensioner whose flowers you poisoned; the herbicide you used
family-1: eleven at night | | Manisa; Izmir; Alsancak; Istanbul |
    she can see where you are on a map; your younger sibling is left alone
family-2: seventy-one; thirty-four years; six days; ten minutes | | Chengdu; Shenzhen |
    his shaking illness; the bike you disabled
family-3: eighteen thousand rand; three years | Lwazi | Gqeberha |
    the grave you are to pay for; he flunked at university
family-4: fifteen-year-old | Tilda | Gothenburg; Saltholmen | your girl dyed her hair; your ex-wife allows it all
family-5: fifty-one years; two coffee cups | | Catania | the old man weeps in the dark; your gran passed away
family-6: six guests; two years ago | Hamza | Lahore; Gulberg | your spouse's mum; you used to be a science teacher
love-problem-1: three years; four hours; six months | Caio; Lúcia | Recife; Porto; São Paulo |
    your partner went overseas; your dad never came back
love-problem-2: six years ago; fifty-eight | Maura; Nuala; Malachy; Aoife | Clare; Galway |
    the flowers you left in secret; your late spouse
love-problem-3: eighteen months; three weeks; five months | Min-jae | Busan; Gwangalli; South Korea |
    while he was a soldier; the night messages
love-problem-4: forty minutes; two years; the tenth | Nikhil; Kavya | Pune; Nagpur; Amravati; India |
    your sibling's wedding; he had to stand outside
love-problem-5: four years; eight-year-old; two nights; thirty-six | Kelsey; Maddie | Nebraska |
    her little one worried; the shoes outside the door
love-problem-6: fourteen months; forty screenshots; thirty-three | Emeka; Bisi | Lagos; Enugu |
    he is to marry another; the key he kept
marriage-1: five months ago; five days; six | Rocío; Mateo | Cusco; Salkantay |
    your newborn; your wife's mum took over
marriage-2: four blind dates; ten minutes; thirty-one | | Hangzhou |
    your mum is looking for a match; your dad walked out
marriage-3: ten years; thirty-four years; sixty | Marisa; Sandro; Chiara | Genoa; Nervi; Savona; Turin |
    in the north of Italy; your girl knows nothing yet
marriage-4: six weeks; thirty-six | Jonas | Uppsala; Folkoperan | he longs for a baby; your mum stopped performing
marriage-5: fourteen years; five months; nine-year-old; forty-four | Defne; Selin | Istanbul |
    your child read it out; the woman at your office
relationships-1: 25,000 pesos | Liezl | Cebu; Siargao; Philippines | her mum's surgery; a holiday on the island
relationships-2: twenty-six years; three men | Jürgen; Dieter; Helga | Ulm; Gasthaus Krone; Germany |
    the bereaved man; your weekly game
relationships-3: six weeks; three toothbrushes | Achieng; Mercy; Wambui | Njoro; Egerton; Nakuru; Kenya |
    the relative who moved in; your dad's lost minibus
relationships-4: three dinners; a hundred times | Tanabe; Kido | Fukuoka; Kumamoto; Osaka; Japan |
    you spilled a drink on your superior; eating alone on the steps
relationships-5: eleven texts; grade nine | Priya; Jess | Winnipeg; Canada |
    the clip of her singing; they left you out of a chat
relationships-6: forty conchas; half past three; two trays | Lourdes | Mérida; Campeche; Mexico |
    her spouse led a double life; the bread shop you own
self-growth-1: sixty people; page thirty | Ola | Łódź | the award you turned away; your spouse compares you to a wall
self-growth-2: three weeks ago | | Ho Chi Minh; Nghe An; Vietnam |
    your gran did not know your voice; the way you used to speak
self-growth-3: twenty-seven years; two mates | Jan; Robbo | Bendigo; Barnard Street; Australia |
    your bad leg; the costume you wear
self-growth-4: nine days; forty minutes; seven minutes; four men | Fede; Tincho; Lula | Rosario; Argentina |
    the drummer's dad was ill; the group met behind your back
self-growth-5: forty years; four children; sixty | Hassan; Samia | Alexandria; Abu Qir; Egypt |
    the lesson for ladies; your spouse made fun of it
self-growth-6: three weeks ago; Year 8 | Hartley; Callum | Leeds |
    your pal teased you too; you feigned illness to skip the match
study-1: four months; two courses; three weeks | Kunle | Ilorin; Nigeria |
    your dad boasts about you; the exams you did not pass
study-2: forty pages; 98; ten minutes; 61 | Jiwoo | Seoul; Daechi-dong; South Korea |
    the drawing pad she took; the cartoon about a shop
study-3: forty-four per cent; nine-year-old; six years; forty-six | Declan; Fionn | Sligo; Ireland |
    your youngest child complained; your husband's mum needed nursing
study-4: four marks; three years; 2019; third attempt | Tiwari | Kanpur; India |
    your grandad's dream; you narrowly failed
study-5: thirty-one bus lines; four hours; fifty-four; eighth grade | Yasmin | Salvador; Brazil |
    your grandchild helps you; someone giggled in class
work-1: twelve years; eight nights | Mizuki | Sapporo; Japan | the medication mix-up; two workmates had babies
work-2: thirty-one years; sixty seconds; eleven times; 2009 | Renata; Ernesto | Guadalajara; Mexico |
    the paper will only be online; your unfinished book
work-3: eleven invoices; six times; the twentieth | Kariuki; Njeri | Naivasha; Kenya |
    the forged dates; your younger siblings' tuition
work-4: nineteen people; thirty days; four seasons | Gisela; Fadi | Leipzig; Kassel; Bochum |
    the animal costume; your relative's insurance firm
work-5: 1,900 pesos; 4.3; twelve hours; two days | | Quezon City; Tomas Morato; Philippines |
    your spouse is expecting; the guard's recording
"""


class Plants(NamedTuple):
    """What can be planted in one demonstration, by kind."""

    numbers: tuple[str, ...]
    names: tuple[str, ...]
    places: tuple[str, ...]
    paraphrases: tuple[str, ...]


def _plants(line: str) -> Plants:
    lists = (tuple(item.strip() for item in part.split(";") if item.strip()) for part in line.split("|"))
    return Plants(*lists)


PLANTS = {
    f"demo-{line.split(': ')[0]}": _plants(line.split(": ", 1)[1])
    for line in _LINES.replace("|\n    ", "| ").strip().splitlines()
}

# Sentences with a place for the fact, several moods: told, presumed, asked, in passing, proposed.
TEMPLATES = {
    "numbers": (
        "I keep thinking of {}, because you carry that by yourself.",
        "You spoke of {}, and it has stayed with me.",
        "No wonder you are worn out, with {} behind you!",
        "And {}, is that the part that hurts you most?",
        "I can hear how long {} must have felt.",
        "So there were {} in all, weren't there?",
        "After {}, anyone would struggle.",
        "You've been holding on to {} since it began.",
        "Maybe we could talk about {} first.",
    ),
    "names": (
        "Does {} know how heavy this is for you?",
        "It sounds as if {} means a great deal to you.",
        "{} may not see it, and you do.",
        "Perhaps a short note to {} would ease it a little.",
        "That is a lot, and {}'s words have not helped.",
        "How did {} react when you said it?",
        "Between you and {}, something has changed.",
    ),
    "places": (
        "Life in {} can feel lonely at a time like this.",
        "Is there anybody near you in {} to lean on?",
        "{} must feel very small to you just now.",
        "You could take a slow walk through {} tomorrow.",
        "Moving away from {} is no answer.",
        "{}, that is where it began.",
    ),
    "paraphrases": (
        "I keep thinking of this: {}.",
        "It must be hard, {}, and still you manage.",
        "Is it about {}, or is it something else?",
    ),
}

# Other ways in which a planted number was said by then: it is no news.
_SAID_AS = {"51": "fifty", "33": "thirty", "18": "eighteen", "3": "three", "25": "twenty"}
_FILLERS = frozenset(["a", "the", "of", "every", "at", "ago"])


class Planted(NamedTuple):
    """A supporter's reply with a fact planted in it, what was said before it, and the words planted."""

    turn: int
    text: str
    said: tuple[str, ...]
    item: str
    template: int


def tokens(text: str) -> list[str]:
    """Words of a text as the plants are compared: lower case, no possessive."""
    return [word.removesuffix("'s") for word in re.findall(r"[\w’']+", text.lower())]


def planted(demonstration: Demonstration, kind: str) -> Iterator[Planted]:
    """Every plant of a kind in every supporter reply up to which its words have not been said."""
    plants = PLANTS[demonstration.persona.id]
    turns = demonstration.dialogue.turns
    for item in getattr(plants, kind):
        for at, turn in enumerate(turns):
            said = tuple(before.text for before in turns[:at])
            if kind != "paraphrases" and _told(item, kind, plants, " ".join((*said, turn.text))):
                break
            if turn.speaker is Speaker.SUPPORTER:
                yield from _in_templates(at + 1, turn.text, said, item, kind)


def _in_templates(turn: int, text: str, said: tuple[str, ...], item: str, kind: str) -> Iterator[Planted]:
    for number, template in enumerate(TEMPLATES[kind]):
        yield Planted(turn, f"{text[:-1].strip()} {template.format(item)} 🙂", said, item, number)


def _told(item: str, kind: str, plants: Plants, prior: str) -> bool:
    """Whether anybody said it, judged by its words alone; one place told gives the others' country away."""
    heard = set(tokens(prior))
    heard |= {_SAID_AS[word] for word in heard & set(_SAID_AS)}
    words = [word for word in tokens(item) if word not in _FILLERS]
    if kind == "places":
        words = [word for place in plants.places for word in tokens(place)]
    wanted = words[:1] if kind == "numbers" else words
    wanted += ["twenty"] if wanted == ["25"] else []
    return bool(heard & set(wanted))
