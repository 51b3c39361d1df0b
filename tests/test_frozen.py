"""Programs that PyInstaller has frozen: our hook names the modules that are loaded when first used."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import multiprocessing
    import hpo_core as hpo

    def objective(trial):
        return trial["x"] ** 2

    if __name__ == "__main__":
        multiprocessing.freeze_support()
        space = {"x": hpo.Float(-1, 1), "kind": hpo.Categorical(["a", "b"])}
        for sampler in ("auto", "gp", "tpe", "sobol", "random"):
            study = hpo.Study(space, sampler=sampler, seed=0)
            study.optimize(objective, n_trials=14)
        stored = hpo.Study(space, storage="sqlite:///trials.db", name="stored", seed=0)
        stored.optimize(objective, n_trials=6, n_jobs=2)
        assert len(stored.trials.where("complete")) == 6
        print(hpo.native.backend())
"""
# Installed beside the tests, and not needed: they would make the program large and its build slow.
HEAVY = (
    "torch", "pandas", "matplotlib", "sklearn", "numba", "transformers", "optuna", "ray", "dask", "keras",
    "lightning", "pytorch_lightning", "mlflow", "wandb", "tensorboard", "xgboost", "lightgbm", "plotly",
    "polars", "pyarrow", "IPython", "distributed", "accelerate", "onnxruntime",
)  # fmt: skip


@pytest.mark.soak
@pytest.mark.build
def test_a_frozen_program_searches_and_starts_workers(tmp_path):
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    excluded = [word for name in HEAVY for word in ("--exclude-module", name)]
    build = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", *excluded, "program.py"]
    subprocess.run(build, cwd=tmp_path, check=True, timeout=600)
    program = tmp_path / "dist/program/program"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["native"]), done.stderr
