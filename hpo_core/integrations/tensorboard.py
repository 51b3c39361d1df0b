"""A callback that writes a search for TensorBoard: curves, and the table of the HParams page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_core.checks import shown
from hpo_core.errors import ArgumentError
from hpo_core.integrations.tracking import Tracker, about, plain
from hpo_core.printable import printable
from hpo_core.trial.checkpoints import folder_of

try:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import (
        HParamsPluginData,
        SessionEndInfo,
        SessionStartInfo,
    )
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
except ImportError as error:
    raise ImportError(
        "hpo_core.integrations.tensorboard needs TensorBoard: pip install tensorboard"
    ) from error

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from hpo_core.study import Study
    from hpo_core.trial import Trial


class TensorBoardTracker(Tracker[EventFileWriter]):
    """Writes an event file for each trial, in its own folder in the folder of the study.

    Reports become curves; the result is the value of the last step. The HParams page shows the parameters,
    results and failures of all trials; the Text page has state, reason and notes. Neither TensorFlow nor
    PyTorch is needed.

    Parameters
    ----------
    folder : path
        The folder for ``tensorboard --logdir``. Each study has a folder of its name in it.

    Raises
    ------
    ArgumentError
        ``folder`` is not a path.

    Examples
    --------
    >>> import hpo_core as hpo
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> study = hpo.Study({"x": hpo.Float(0, 1)}, sampler="random", seed=0, name="squares")
    >>> study.optimize(lambda trial: trial["x"] ** 2, n_trials=3, callbacks=[TensorBoardTracker(folder)])
    >>> sorted(path.name for path in (Path(folder) / "squares").iterdir() if path.is_dir())
    ['trial-0', 'trial-1', 'trial-2']
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__()
        try:
            self._folder = Path(folder).absolute()
        except TypeError:
            raise ArgumentError(f"folder must be a path, got {shown(folder)}") from None
        self._described: set[Path] = set()  # folders of studies

    def _start(self, study: Study, trial: Trial) -> EventFileWriter:
        folder = folder_of(self._folder, study.name, trial.number)
        if folder.parent not in self._described:
            self._described.add(folder.parent)
            self._describe(study, folder.parent)
        writer = EventFileWriter(str(folder))
        session = SessionStartInfo(group_name=f"trial {trial.number}", start_time_secs=time.time())
        for name, value in trial.params.items():
            _fill(session.hparams[printable(name)], plain(value))
        _write(writer, _hparams(metadata.SESSION_START_INFO_TAG, session_start_info=session))
        writer.flush()
        return writer

    def _describe(self, study: Study, folder: Path) -> None:
        """Write the columns of the HParams page."""
        metrics = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=printable(name))) for name in study.metrics]
        columns = [
            api_pb2.HParamInfo(name=printable(name), type=_column_type(study.space.parameters[name]))
            for name in study.space.parameters
        ]
        writer = EventFileWriter(str(folder))
        experiment = api_pb2.Experiment(
            hparam_infos=columns, metric_infos=metrics, time_created_secs=time.time()
        )
        _write(writer, _hparams(metadata.EXPERIMENT_TAG, experiment=experiment))
        writer.close()

    def _log(self, run: EventFileWriter, values: Mapping[str, float], step: int) -> None:
        _write(
            run,
            *(Summary.Value(tag=printable(name), simple_value=value) for name, value in values.items()),
            step=step,
        )
        run.flush()

    def _close(self, run: EventFileWriter, study: Study, trial: Trial) -> None:  # noqa: ARG002 - of trackers
        _write(run, *_texts(about(trial)))
        if trial.state.name != "PAUSED":
            failed = trial.state.name == "FAILED"
            status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
            end = SessionEndInfo(status=status, end_time_secs=time.time())
            _write(run, _hparams(metadata.SESSION_END_INFO_TAG, session_end_info=end))
        run.close()


def _write(writer: EventFileWriter, *values: Any, step: int = 0) -> None:
    writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))


def _hparams(tag: str, **content: Any) -> Any:
    data = HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content).SerializeToString()
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=data)
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=metadata.NULL_TENSOR)


def _texts(told: Mapping[str, str]) -> Iterable[Any]:
    plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    for name, value in told.items():
        tensor = TensorProto(dtype=DT_STRING, string_val=[printable(value, keep="\n\t").encode()])
        yield Summary.Value(tag=printable(name), metadata=plugin, tensor=tensor)


def _fill(place: Any, value: str | float | bool | None) -> None:  # noqa: FBT001 - a parameter
    if isinstance(value, bool):
        place.bool_value = value
    elif isinstance(value, int | float):
        place.number_value = value
    else:
        place.string_value = str(value)


def _column_type(parameter: Any) -> Any:
    """Return the type of a column: numbers, unless a choice or a constant is something else."""
    values = getattr(parameter, "choices", None) or getattr(parameter, "values", None)
    kinds = {type(plain(value)) for value in (values or [parameter])}
    if hasattr(parameter, "low") or kinds <= {int, float}:
        return api_pb2.DATA_TYPE_FLOAT64
    return api_pb2.DATA_TYPE_BOOL if kinds == {bool} else api_pb2.DATA_TYPE_STRING
