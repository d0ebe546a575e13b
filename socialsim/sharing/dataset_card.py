"""The card of a data set: README.md with the front matter that the hub and `datasets` read."""

from __future__ import annotations

from typing import Any, Final

from socialsim.sharing.corpus import OWN_LICENCE, SharedCorpus
from socialsim.sharing.figures import figures, lms, programs, provenances, shared_personas
from socialsim.sharing.licence import UNKNOWN
from socialsim.sharing.markdown import code, fill, plain, table
from socialsim.text import is_chinese

MARKER: Final = "<!-- Written by socialsim export; the next export writes it again. -->"
NO_ADDRESS: Final = "path/to/this/folder"
_SIZES: Final = (  # the hub's own categories
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def dataset_card(corpus: SharedCorpus, licence: str, repo: str | None) -> str:
    """The whole card.

    Args:
        corpus: what is shared.
        licence: the hub's id of its licence, or ``unknown``.
        repo: where it is pushed to, None if nowhere.
    """
    title = repo.rpartition("/")[2] if repo else corpus.name
    return fill(
        "dataset_card.md",
        front_matter=front_matter(corpus, licence, title),
        marker=MARKER,
        title=plain(title),
        summary=_summary(corpus),
        address=repo or NO_ADDRESS,
        making=_making(corpus),
        figures=figures(corpus),
        limits=_limits(corpus),
        licence=_licence(licence, corpus),
    )


def front_matter(corpus: SharedCorpus, licence: str, title: str) -> str:
    """YAML: what the hub files the data set under, and which file is which side."""
    from huggingface_hub import CardData

    sides = [side for side, dialogues in corpus.parts._asdict().items() if dialogues]
    fields: dict[str, Any] = {
        "license": licence,
        "language": [_language(corpus)],
        "pretty_name": title,
        "size_categories": [_size(len(corpus.dialogues))],
        "task_categories": ["text-generation"],
        "tags": ["emotional-support", "dialogue", *(["synthetic"] if _synthetic(corpus) else []), "socialsim"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": side, "path": f"data/{side}-*.parquet"} for side in sides],
            }
        ],
    }
    return CardData(**fields).to_yaml().rstrip()


def _size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")


def _language(corpus: SharedCorpus) -> str:
    first = " ".join(turn.text for dialogue in corpus.dialogues[:20] for turn in dialogue.turns)
    return "zh" if is_chinese(first) else "en"


def _synthetic(corpus: SharedCorpus) -> bool:
    return any(True for _ in provenances(corpus))


def _summary(corpus: SharedCorpus) -> str:
    count = f"{len(corpus.dialogues):,}"
    personas = len(shared_personas(corpus))
    kind = "synthetic emotional-support dialogues" if _synthetic(corpus) else "emotional-support dialogues"
    seekers = f" with {personas:,} seeker personas" if personas else ", without personas"
    return f"{count} {kind}{seekers}, written as tables by SocialSim."


def _making(corpus: SharedCorpus) -> str:
    if not _synthetic(corpus):
        if corpus.licence:
            return "Personas and dialogues were written for the SocialSim project by its authors; no text was taken."
        return (
            f"Read from {code(corpus.name)} and written as tables; nothing was added. SocialSim did not make it and "
            "does not know how it was made: see the corpus' own documentation."
        )
    parts = [
        "SocialSim turned help-seeking posts into seeker personas and simulated the dialogues: the supporter writes "
        "its reasoning before each reply. The source posts themselves are not part of this data set.",
        _inputs(corpus),
        _players(corpus),
        _programs(corpus),
        _settings(corpus),
    ]
    return "\n\n".join(part for part in parts if part)


def _inputs(corpus: SharedCorpus) -> str:
    names = corpus.manifest.inputs if corpus.manifest else ()
    return f"Posts: {', '.join(map(code, names))}." if names else ""


def _players(corpus: SharedCorpus) -> str:
    rows = [(role, code(lm), f"{count:,} {kind}s") for (role, lm, kind), count in sorted(lms(corpus).items())]
    return table(("role", "LM", "took part in"), rows) if rows else ""


def _programs(corpus: SharedCorpus) -> str:
    rows = [(plain(name), code(state), f"{count:,}") for (name, state), count in sorted(programs(corpus).items())]
    return table(("prompt program", "hash of its instructions and examples", "items"), rows) if rows else ""


def _settings(corpus: SharedCorpus) -> str:
    made = [provenance for kind, provenance in provenances(corpus) if kind == "dialogue"]
    rows = [
        ("simulation", ", ".join(sorted({plain(one.mode) for one in made}))),
        ("seed", ", ".join(map(str, sorted({one.seed for one in made})))),
        ("reasoning nodes", "; ".join(sorted({", ".join(one.nodes) or "none" for one in made}))),
    ]
    if corpus.manifest:
        settings = corpus.manifest.settings
        named = {"shortest post, words": settings.min_words, "closing emoji": settings.emoji, "strict": settings.strict}
        named |= {"examples in an uncompiled prompt": settings.shots, "eight rules while writing": settings.rules}
        rows += [(name, str(value).lower()) for name, value in named.items() if value is not None]
        rows += [(f"version of {name}", code(version)) for name, version in corpus.manifest.versions.items()]
    return table(("setting", "value"), [(name, value) for name, value in rows if value])


def _limits(corpus: SharedCorpus) -> str:
    found = [
        "No clinician is known to have approved any of it; what a supporter says here may be wrong or harmful.",
        "A check that passes is no proof: checks by word miss paraphrases, and flags name only what was noticed.",
    ]
    if _synthetic(corpus):
        found += [
            "Language models wrote both sides. Simulated seekers tend to be more agreeable, more even and quicker to "
            "recover than people.",
            "Personas can stereotype. What a post did not say was inferred and is named in `persona.inferred`.",
            "This export does not record that people have read the dialogues.",
        ]
    if any(lm.startswith("embedded") for _, lm, _ in lms(corpus)):
        found.append(
            "**A model of 135M parameters (`embedded`) wrote part of it.** It keeps the form and loses the thread; do "
            "not train on it."
        )
    return "\n".join(f"- {line}" for line in found)


def _licence(licence: str, corpus: SharedCorpus) -> str:
    if licence == UNKNOWN:
        return (
            "**Not chosen.** The licence of the source posts or of the source corpus decides (ESConv and SSConv, for "
            "example, are CC BY-NC 4.0), beside the terms of the LMs that wrote the text. Until the owner of this data "
            "set has chosen one, do not use it."
        )
    if corpus.licence == licence == OWN_LICENCE:
        own = f"{code(licence)}: it was made from what was written for SocialSim."
        return f"{own} The terms of the LMs that wrote the text may add to it." if _synthetic(corpus) else own
    return f"{code(licence)}, as chosen by the owner of this data set."
