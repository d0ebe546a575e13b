"""The embedded model: what several dialogues in flight gain, and how much of their prompts comes from the cache.

``python -m tests.bench.embedded`` (minutes; the cores must be free).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from programs.simulate import SimulationOptions
from socialsim.lms import DEFAULT_SPEC, parse_spec
from socialsim.resources import demonstrations, training_demonstrations
from socialsim.run import Run
from socialsim.runconfig import RunConfig, Stage
from socialsim.schema import Persona, Role, Usage
from tests.bench.measure import CALLS


def run(personas: list[Persona], exchanges: int = CALLS // 2) -> Usage:
    """Simulate a dialogue for each persona, all at once; ``seconds`` of the usage is the wall time."""
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            out=Path(folder) / "run",
            lms=dict.fromkeys(Role, parse_spec(DEFAULT_SPEC)),
            stages=(Stage.DIALOGUES,),
            simulation=SimulationOptions(exchanges=exchanges),
            concurrency=len(personas),
            demonstrations=0,
        )
        return Run(config).execute(personas).usage


def main() -> None:
    """Both runs, one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogues", type=int, default=4)
    asked = parser.parse_args()
    shown = {demo.persona.id for demo in training_demonstrations()}
    personas = [demo.persona for demo in demonstrations() if demo.persona.id not in shown][: asked.dialogues]
    run(personas[:1], exchanges=1)  # loads the model
    table = Table(
        "dialogues at once", "tokens/s written", "tokens/s read", "seconds", "calls", "cached", title="embedded"
    )
    for concurrency in (1, asked.dialogues):
        usage = run(personas[:concurrency])
        share = usage.cached_tokens / usage.prompt_tokens
        table.add_row(
            str(concurrency),
            f"{usage.completion_tokens / usage.seconds:.1f}",
            f"{(usage.prompt_tokens - usage.cached_tokens) / usage.seconds:.1f}",
            f"{usage.seconds:.0f}",
            str(usage.calls),
            f"{share:.1%}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
