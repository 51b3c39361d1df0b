"""``optuna-dashboard``, the real one, shows our studies in a real browser."""

from __future__ import annotations

import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna_dashboard as dashboard
import pytest

import hpo_core as hpo
from hpo_core import cli

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:optuna_dashboard"),
]

NAME = "digits <script>alert(1)</script>"


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Say nothing of each request."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The dashboard on a port of this machine, with a study that the command line has copied."""
    folder = tmp_path_factory.mktemp("dashboard")
    ours, theirs = str(folder / "s.db"), f"sqlite:///{folder / 'o.db'}"
    space = {
        "lr": hpo.Float(1e-5, 1e-1, log=True),
        "optimizer": hpo.Categorical({"sgd": {"momentum": hpo.Float(0.0, 0.99)}, "adam": {}}),
    }
    study = hpo.Study(space, name=NAME, storage=ours, sampler="random", seed=0, scheduler="median")

    def objective(trial):
        trial.note(host="<b>gpu0</b>")
        for step in range(4):
            trial.report(step, trial["lr"] + 1 / (step + 1))
            if trial.should_stop():
                raise hpo.TrialStopped
        if trial.number == 7:
            raise hpo.TrialFailed("diverged")
        return trial["lr"]

    study.optimize(objective, n_trials=25)
    assert cli.main(["export", ours, NAME, theirs, "--to", "optuna"]) == 0
    server = make_server("127.0.0.1", 0, dashboard.wsgi(theirs), handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def watched(open_page, address):
    """A page of the dashboard that reaches nothing but it."""
    found = open_page(viewport={"width": 1300, "height": 1000})
    found.context.route(
        "**/*",
        lambda route: route.continue_() if route.request.url.startswith(address) else route.abort(),
    )
    return found


def test_the_study_its_trials_and_a_plot_are_shown(watched, address):
    page = watched.page
    page.goto(f"{address}/dashboard")
    page.get_by_text(NAME).first.click()
    page.wait_for_selector(".js-plotly-plot .scatterlayer .trace path.point")
    assert page.locator(".js-plotly-plot .scatterlayer .trace path.point").count() >= 20
    assert NAME in page.inner_text("body")
    page.goto(f"{address}/dashboard/studies/1/trials")
    page.get_by_text("25 Trials").wait_for()
    assert page.locator("li", has_text="Trial 7").get_by_text("Fail").count() == 1
    assert watched.dialogs == []


def test_reports_reasons_and_notes_are_shown(watched, address):
    page = watched.page
    page.goto(f"{address}/dashboard/studies/1/trials?numbers=7")
    page.get_by_text("hpo_core.reason").first.wait_for()
    body = page.inner_text("body")
    assert "diverged" in body
    assert "<b>gpu0</b>" in body
    assert watched.dialogs == []
