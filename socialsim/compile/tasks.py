"""The programs that can be compiled, by name."""

from __future__ import annotations

from typing import Final

from socialsim.compile.demonstrated import DemonstratedTask, OnePassTask, PersonaTask, SeekerTask, SupporterTask

DEMONSTRATED: Final[dict[str, type[DemonstratedTask]]] = {
    task.name: task for task in (PersonaTask, SeekerTask, SupporterTask, OnePassTask)
}
JUDGE: Final = "judge"
NAMES: Final = (*DEMONSTRATED, JUDGE)
