"""The product as a run uses it, measured from its first call: ``python -m tests.bench.product '{…}'``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Load, Result, measured, rss


def _note(result: Result, share: float) -> None:
    """RSS when a quarter of the dialogues is finished: the rest must not add to it."""
    if share >= 0.25 and not result.rss_at_a_quarter:
        result.rss_at_a_quarter = rss()


def main(load: Load) -> None:
    """Simulate the dialogues of ``load`` through the run, journals on, and print what it took."""
    from programs.simulate import SimulationOptions
    from socialsim.cluster import on_ray
    from socialsim.lms import parse_spec
    from socialsim.run import Run
    from socialsim.runconfig import RunConfig, Stage
    from socialsim.schema import Role
    from tests.bench.script import personas
    from tests.bench.workers import counted

    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            out=Path(folder) / "run",
            lms=dict.fromkeys(Role, parse_spec(f"{load.url}/v1#scripted")),
            stages=(Stage.DIALOGUES,),
            simulation=SimulationOptions(exchanges=12, rules=load.rules),
            concurrency=load.concurrency,
            workers=load.workers,
            demonstrations=load.shots,
        )
        result = Result()
        workforce = on_ray(workers=load.workers) if load.on_ray else None
        run = Run(config, lambda state: _note(result, state.done / load.dialogues), workforce)
        items = list(personas(load.dialogues))
        with measured(result), counted(config.out, result):
            manifest = run.execute(items)
            result.calls = manifest.usage.calls
            result.prompt_tokens, result.cached_tokens = manifest.usage.prompt_tokens, manifest.usage.cached_tokens
        assert manifest.counts["dialogues"] == load.dialogues, manifest


if __name__ == "__main__":
    main(Load.model_validate_json(sys.argv[1]))
