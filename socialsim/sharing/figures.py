"""The figures of a data set's card, counted from what is shared and from the run's manifest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from statistics import mean

from finetune.splits import SideSize
from socialsim.report.table1 import corpus_size, table1_rows
from socialsim.runfolder import Manifest
from socialsim.schema import Persona, Provenance
from socialsim.sharing.corpus import SharedCorpus
from socialsim.sharing.markdown import code, plain, section, table
from socialsim.sharing.names import public_lm
from socialsim.taxonomy import Topic


def figures(corpus: SharedCorpus) -> str:
    """All tables there are figures for."""
    manifest = corpus.manifest
    parts = [
        section("Sides", _sides(corpus)),
        section("Statistics (the paper's Table 1, counted on all sides)", _table1(corpus)),
        section("Topics of the personas", _topics(corpus)),
        section("Checks", _checks(corpus)),
        section("Flags", _flags(corpus)),
        section("What the run made, and set aside", _counts(manifest) if manifest else ""),
        section("Cost of the run", _cost(manifest) if manifest else ""),
    ]
    return "\n".join(part for part in parts if part)


def provenances(corpus: SharedCorpus) -> Iterator[tuple[str, Provenance]]:
    """How each dialogue and each of their personas was made, where that is known."""
    used = {dialogue.persona_id for dialogue in corpus.dialogues}
    items = [("dialogue", dialogue.provenance) for dialogue in corpus.dialogues]
    items += [("persona", persona.provenance) for name, persona in corpus.personas.items() if name in used]
    return ((kind, provenance) for kind, provenance in items if provenance)


def lms(corpus: SharedCorpus) -> Counter[tuple[str, str, str]]:
    """How many items of which kind an LM took part in, and in which role."""
    return Counter(
        (role, public_lm(spec), kind) for kind, made in provenances(corpus) for role, spec in made.lms.items()
    )


def programs(corpus: SharedCorpus) -> Counter[tuple[str, str]]:
    """How many items were made with a program in a state; its hash covers instructions and demonstrations."""
    return Counter(pair for _, made in provenances(corpus) for pair in made.programs.items())


def shared_personas(corpus: SharedCorpus) -> list[Persona]:
    """The persona of each dialogue that has one, each once."""
    used = dict.fromkeys(dialogue.persona_id for dialogue in corpus.dialogues)
    return [corpus.personas[name] for name in used if name and name in corpus.personas]


def _sides(corpus: SharedCorpus) -> str:
    rows = []
    for side, dialogues in corpus.parts._asdict().items():
        size = SideSize.of(dialogues)
        rows.append((side, f"{size.dialogues:,}", f"{size.supporter_turns:,}", f"{size.words:,}", code(size.digest)))
    how = "Dialogues of the same words are on the same side."
    seed = "" if corpus.seed is None else f" Drawn with seed {corpus.seed}."
    return table(("", "dialogues", "supporter turns", "words", "digest"), rows) + f"\n\n{how}{seed}"


def _table1(corpus: SharedCorpus) -> str:
    size = corpus_size(corpus.dialogues)
    return table(("", "this corpus"), [(plain(label), figure) for label, figure in table1_rows(size)]) if size else ""


def _topics(corpus: SharedCorpus) -> str:
    counts = Counter(persona.topic for persona in shared_personas(corpus))
    rows = [(plain(topic), f"{counts[topic]:,}") for topic in Topic]
    return table(("topic", "personas"), rows) if counts else ""


def _checks(corpus: SharedCorpus) -> str:
    scores: dict[str, list[float]] = defaultdict(list)
    for dialogue in corpus.dialogues:
        for rule, score in (dialogue.provenance.checks if dialogue.provenance else {}).items():
            scores[rule].append(score)
    rows = [(plain(rule), f"{mean(given):.3f}", f"{len(given):,}") for rule, given in scores.items()]
    says = "Mean score of each control rule, 0 to 1, by checks that need no LM.\n\n"
    return says + table(("rule", "mean", "dialogues"), rows) if rows else ""


def _flags(corpus: SharedCorpus) -> str:
    found = [[flag.kind for flag in dialogue.all_flags()] for dialogue in corpus.dialogues]
    kinds = Counter(kind for flags in found for kind in flags)
    flagged = sum(map(bool, found))
    says = (
        f"{flagged:,} of {len(found):,} dialogues were kept with a flag: what a check found and a second try left.\n\n"
    )
    return says + table(("flag", "times"), _counted(kinds)) if kinds else ""


def _counts(manifest: Manifest) -> str:
    made = table(("", "items"), [(plain(name), f"{count:,}") for name, count in manifest.counts.items()])
    rejected = table(("set aside at, because", "items"), _counted(Counter(manifest.rejected)))
    return f"{made}\n\n{rejected}" if manifest.rejected else made


def _cost(manifest: Manifest) -> str:
    usage = manifest.usage
    cached = f" ({usage.cached_tokens / usage.prompt_tokens:.0%} cached)" if usage.prompt_tokens else ""
    rows = [
        ("calls", f"{usage.calls:,}"),
        ("prompt tokens", f"{usage.prompt_tokens:,}{cached}"),
        ("completion tokens", f"{usage.completion_tokens:,}"),
        ("cost, USD", "unknown" if usage.cost is None else f"{usage.cost:.4f}"),
        ("wall time, s", f"{manifest.wall_seconds:,.1f}"),
    ]
    return table(("", "whole run"), rows)


def _counted(counts: Counter[str]) -> list[tuple[str, str]]:
    return [(plain(name), f"{count:,}") for name, count in counts.most_common()]
