"""Runs of a simulated endpoint: personas whose dialogues it can answer, in a folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from programs.simulate import SimulationOptions
from socialsim.lms import parse_spec
from socialsim.run import Run
from socialsim.runconfig import RunConfig, Stage
from socialsim.runfolder import Manifest
from socialsim.schema import Role
from tests.bench.endpoint import Server
from tests.bench.script import personas
from tests.command import assert_whole, ids

CALLS = 24  # of a dialogue


class Made(NamedTuple):
    """A run and how long it took."""

    run: Run
    manifest: Manifest
    seconds: float


def simulate(server: Server, out: Path, count: int, settings: str = "", **options: Any) -> Made:
    """Simulate the dialogues of ``count`` personas, all at once unless ``concurrency`` says otherwise.

    Args:
        server: who answers.
        out: the run folder.
        count: of the personas.
        settings: behind the spec's question mark.
        options: further fields of the run's configuration.
    """
    tries = options.pop("tries", 5)
    spec = parse_spec(f"{server.spec}?{settings}" if settings else server.spec)
    common: dict[str, Any] = {"concurrency": count, "demonstrations": 0, "stages": (Stage.DIALOGUES,)}
    simulation = SimulationOptions(exchanges=CALLS // 2, tries=tries)
    config = RunConfig(out=out, lms=dict.fromkeys(Role, spec), simulation=simulation, **common | options)
    run, began = Run(config), time.monotonic()
    manifest = run.execute(list(personas(count)))
    return Made(run, manifest, time.monotonic() - began)


def assert_none_vanished(out: Path, count: int) -> None:
    """Every persona ended as a dialogue or as a rejection."""
    assert_whole(out)
    assert sorted([*ids(out, "dialogues"), *ids(out, "rejected")]) == sorted(one.id for one in personas(count))
