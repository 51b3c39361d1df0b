"""What people are shown holds nothing that a terminal obeys, and nothing that standard output cannot take."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hpo_core as hpo
from hpo_core.printable import displayed, printable
from hpo_core.study.replay import Replay

# Erases the screen, overwrites the line, turns the direction, hides, is beyond ASCII, is markup.
HOSTILE = [
    "\x1b[2Ja",
    "b\rc",
    "two\nlines",
    "\u202eevil",
    "a\u200bb",
    "größe\U0001f680",
    "<script>",
    "\x9b31m",
]
ANY_TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=20)


@given(ANY_TEXT)
def test_printable_text_is_printable_and_otherwise_itself(text):
    assert printable(text).isprintable()
    assert printable(text).encode()
    assert (printable(text) == text) == text.isprintable()
    assert printable(f"{text}\n", keep="\n").endswith("\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@given(text=ANY_TEXT)
def test_what_is_shown_can_be_written_to_standard_output(encoding, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        assert displayed(text).isprintable()
        print(displayed(text), flush=True)


def everything_shown(text):
    """What the library says of a study whose every text is this one, by where it says it."""
    sampler = hpo.RandomSampler()
    sampler.name = text  # as a sampler of the user's may be called
    choices = {text: {f"{text} in a branch": hpo.Float(0, 1)}, "other": {}, (text, 1): {}}
    space = hpo.Space(
        {text: hpo.Categorical(choices, doc=text), "n": hpo.Int(1, 3, when=hpo.param(text) == text), "c": 1},
        forbid=[(hpo.param(text) == text) & (hpo.param("n") == 2)],
    )
    study = hpo.Study(space, sampler=sampler, seed=0, name=text)
    study.add({text: text, f"{text} in a branch": 0.5, "n": 1, "c": 1}, 1.0)
    trial = study.ask()
    return {
        "space": f"{space}",
        "its html": space._repr_html_(),
        "declaration": repr(hpo.Categorical(choices, doc=text)),
        "expression": f"{hpo.param(text) == text} {hpo.param(text) == text!r}",
        "study": repr(study),
        "study html": study._repr_html_(),
        "trial": repr(trial),
        "batch": repr(study.trials),
        "replay": str(Replay(1, 0, text, text, text)),
    }


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_nothing_shown_is_obeyed_or_cannot_be_written(text, encoding, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    for where, words in everything_shown(text).items():
        assert all(line.isprintable() for line in words.split("\n")), where
        assert words.encode(encoding), where
        assert len(words.split("\n")) == 1 or where in ("space", "its html"), where
        assert "<script>" not in words or "html" not in where, where


@pytest.mark.parametrize("text", HOSTILE)
def test_no_warning_is_obeyed(text, caplog):
    def objective(trial):
        raise hpo.TrialFailed(text)

    study = hpo.Study({text: hpo.Categorical([text, "b"])}, sampler="random", seed=0, allow_duplicates=True)
    with caplog.at_level(logging.DEBUG, "hpo_core"):
        study.optimize(objective, n_trials=2)
    assert study.trials[0].reason == text
    assert caplog.messages
    assert all(message.isprintable() for message in caplog.messages)
