"""Options that several commands share, as small config objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from socialsim.errors import UsageError

if TYPE_CHECKING:
    from socialsim.formats.table import Columns
    from socialsim.lms import LMSpec
    from socialsim.schema import Role
    from socialsim.worker import Workforce

LMS = Group("LMs", sort_key=3)
MEASURING = Group("Measure a corpus", sort_key=3)  # of commands
POSTS = Group("Posts", sort_key=1)
DIALOGUES = Group("Dialogues", sort_key=2)
ENGINE = Group("More than one machine", sort_key=4)

ALL_NODES = "situation,thought,action,strategy"  # written out: the schema takes longer to import than help may take


@Parameter(name="*", group=LMS)
@dataclass(frozen=True)
class LMOptions:
    """Which LM plays which role."""

    lm: str | None = None
    """LM for every role; see `socialsim lms`. Default: embedded."""
    persona_lm: str | None = None
    """LM that screens, translates and writes personas."""
    seeker_lm: str | None = None
    """LM that speaks as the seeker."""
    supporter_lm: str | None = None
    """LM that speaks as the supporter (and writes the dialogue in one pass)."""

    def resolve(self) -> dict[Role, LMSpec]:
        """The spec of each role, from flags, environment and ``socialsim.toml``."""
        from socialsim.config import resolve_lms
        from socialsim.schema import Role

        flags = {None: self.lm, Role.PERSONA: self.persona_lm, Role.SEEKER: self.seeker_lm}
        return resolve_lms(flags | {Role.SUPPORTER: self.supporter_lm})


@Parameter(name="*", group=LMS)
@dataclass(frozen=True)
class JudgeOptions:
    """Which LM judges."""

    judge_lm: str | None = None
    """LM that judges; see `socialsim lms`. Default: embedded, which is too small to judge well."""

    def resolve(self) -> dict[Role, LMSpec]:
        """The spec of each role; only the judge's can be named here."""
        from socialsim.config import resolve_lms
        from socialsim.schema import Role

        return resolve_lms({Role.JUDGE: self.judge_lm})


@Parameter(name="*", group=LMS)
@dataclass(frozen=True)
class CompileLMOptions:
    """Which LM is compiled for, which writes instructions, which judges."""

    lm: str | None = None
    """LM the program is compiled for; see `socialsim lms`. Default: embedded."""
    reflection_lm: str | None = None
    """LM that writes new instructions (mipro, gepa, simba). Default: the same."""
    judge_lm: str | None = None
    """LM whose judgement joins the metric. Default: deterministic checks only."""

    def resolve(self) -> dict[Role, LMSpec]:
        """The spec of each role; ``--lm`` also plays the roles that no flag or setting names."""
        from socialsim.config import resolve_lms
        from socialsim.schema import Role

        return resolve_lms({None: self.lm, Role.REFLECTION: self.reflection_lm, Role.JUDGE: self.judge_lm})


@Parameter(name="*")
@dataclass(frozen=True)
class WorkOptions:
    """Where and how much."""

    out: Annotated[Path, Parameter(name=("--out", "-o"))] = Path("runs/latest")
    """The run folder; an existing one is continued."""
    limit: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    """Scenarios to carry on at most."""
    seed: int = 0
    """Decides lengths and demonstrations."""
    concurrency: Annotated[int | None, Parameter(validator=Number(gte=1, lte=4096))] = None
    """Items in flight at once. Default: 2 in process, 16 elsewhere."""
    resume: bool = True
    """Continue the run folder if it exists; with --no-resume an existing one is refused."""
    allow_mixed: Annotated[bool, Parameter(negative=())] = False
    """Continue a run that was made with other settings; each item says how it was made."""
    max_cost: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """USD the run may cost in all; it stops by itself, and goes on with a higher limit."""
    max_tokens: Annotated[int | None, Parameter(validator=Number(gt=0))] = None
    """Tokens it may read and write in all."""
    dry_run: Annotated[bool, Parameter(negative=())] = False
    """Say what would be done, with calls, tokens and cost; call no LM, write nothing."""


@Parameter(name="*", group=ENGINE)
@dataclass(frozen=True)
class EngineOptions:
    """Where the items are made."""

    engine: str = "process"
    """process: on this machine; ray: by workers on one or more machines."""
    workers: Annotated[int | None, Parameter(validator=Number(gte=1, lte=4096))] = None
    """Processes that share --concurrency. Default: as many as are useful, at most one a core; here one for each 128, or
    for 64 and more as many as a quick endpoint can keep busy."""
    ray_address: str | None = None
    """HOST:PORT of a Ray head, or auto on one of its machines. Default: RAY_ADDRESS, else this machine alone."""

    def workforce(self) -> Workforce | None:
        """Who makes the items; None for this machine.

        Raises:
            UsageError: if an option has no meaning.
        """
        if self.engine == "ray":
            from socialsim.cluster import on_ray

            return on_ray(self.ray_address, self.workers)
        if self.engine != "process":
            raise UsageError(f"--engine {self.engine}: use process or ray")
        if self.ray_address is not None:
            raise UsageError("--ray-address needs --engine ray")
        return None


@Parameter(name="*")
@dataclass(frozen=True)
class BatchOptions:
    """What is asked at leisure."""

    batch: Annotated[bool, Parameter(negative=())] = False
    """Screen, translate and write personas through the provider's Batch API: within a day, for half the price."""


@Parameter(name="*", group=POSTS)
@dataclass(frozen=True)
class PostOptions:
    """How posts are read and screened."""

    format: str | None = None
    """psyqa, esconv, ssconv, scenario or table. Default: detected."""
    text_column: str | None = None
    """Column of a CSV or JSONL table that holds the post."""
    title_column: str | None = None
    """Column that holds its title."""
    topic_column: str | None = None
    """Column that holds one of the nine topics."""
    id_column: str | None = None
    """Column that holds an id."""
    min_words: Annotated[int, Parameter(validator=Number(gte=1))] = 65
    """Words (Chinese: characters) a post must have."""
    screen_by_lm: bool | None = None
    """Let the persona LM screen posts after the rules. Default: yes, except for embedded."""

    def columns(self) -> Columns | None:
        """The named columns, None where none was named."""
        from socialsim.formats.table import Columns

        named = {
            "description": self.text_column,
            "question": self.title_column,
            "topic": self.topic_column,
            "id": self.id_column,
        }
        given = {name: column for name, column in named.items() if column is not None}
        return Columns(**given) if given else None


@Parameter(name="*", group=DIALOGUES)
@dataclass(frozen=True)
class DialogueOptions:
    """How dialogues are written."""

    mode: str = "turn"
    """turn: two speakers in turn; onepass: the paper's way, one call a dialogue."""
    nodes: str = ALL_NODES
    """Reasoning nodes, any subset, comma-separated; or none."""
    emoji: bool = True
    """End each utterance with an emoji, as in the paper."""
    strict: Annotated[bool, Parameter(negative=())] = False
    """Reject what would otherwise be kept with a flag."""
    tries: Annotated[int, Parameter(validator=Number(gte=1, lte=50))] = 5
    """Answers asked for an invalid turn before the dialogue is given up."""
    repair: Annotated[int, Parameter(validator=Number(gte=0, lte=20))] = 1
    """How often a turn that breaks one of the eight rules is asked again before the best one is kept, flagged."""
    rules: bool = True
    """Check the eight rules while a dialogue is written. Without, `socialsim check` does it afterwards: nothing is
    asked again for them, and a process takes up to twice as many answers a second."""


@Parameter(name="*")
@dataclass(frozen=True)
class ProgramOptions:
    """Which programs are used."""

    shots: Annotated[int | None, Parameter(validator=Number(gte=0, lte=16))] = None
    """Authored examples in an uncompiled prompt. Default: 1 in process (long prompts are slow there), else 3."""
    program: Annotated[tuple[Path, ...], Parameter(negative=())] = ()
    """A compiled program to use instead of the LM's own; may be given once for each program."""
    uncompiled: Annotated[bool, Parameter(negative=())] = False
    """Use no compiled program."""
