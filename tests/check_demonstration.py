"""Check authored files by hand: python -m tests.check_demonstration FILE…"""

import sys
from pathlib import Path

from socialsim.schema import Demonstration, Node, Speaker
from socialsim.validation import check_dialogue, check_reasoning, check_utterance


def problems(path):
    demo = Demonstration.model_validate_json(Path(path).read_text("utf-8"))
    turns = demo.dialogue.turns
    out = [f"dialogue: {f.kind}: {f.detail}" for f in check_dialogue(demo.dialogue, tuple(Node))]
    for i, t in enumerate(turns):
        out += [f"turn {i + 1}: {f.kind}: {f.detail}" for f in check_utterance(t.text, t.speaker, turns[:i])]
        if t.speaker is Speaker.SUPPORTER:
            out += [f"turn {i + 1}: {f.kind}: {f.detail}" for f in check_reasoning(t, tuple(Node))]
    return out


if __name__ == "__main__":
    bad = 0
    for path in sys.argv[1:]:
        try:
            found = problems(path)
        except Exception as exc:
            found = [str(exc)]
        bad += bool(found)
        print(path, "ok" if not found else "", *("\n  " + f for f in found))
    sys.exit(bool(bad))
