"""``SummaryWriter``: scalars, histograms, images, texts and hyperparameters for TensorBoard, written by its own library."""

from __future__ import annotations

import importlib
import io
import os
import socket
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mini_dl._dtypes import Array
from mini_dl.tensor import Tensor

__all__ = ["FileWriter", "RecordWriter", "SummaryWriter"]

_protos = [
    importlib.import_module(f"tensorboard.compat.proto.{name}_pb2")
    for name in ("event", "summary", "tensor", "tensor_shape")
]  # fmt: skip
_event, _summary, _tensor, _shape = _protos
RecordWriter = importlib.import_module("tensorboard.summary.writer.record_writer").RecordWriter
_EventFileWriter = importlib.import_module("tensorboard.summary.writer.event_file_writer").EventFileWriter


class FileWriter:
    """Writes summaries to an event file in a folder, from its own thread."""

    def __init__(self, log_dir: object, max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = "") -> None:
        self.event_writer = _EventFileWriter(str(log_dir), max_queue, flush_secs, filename_suffix)

    def get_logdir(self) -> str:
        """The folder."""
        return self.event_writer.get_logdir()

    def add_event(self, event: Any, step: int | None = None, walltime: float | None = None) -> None:
        """Write an event, timestamped now or with `walltime`."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self.event_writer.add_event(event)

    def add_summary(self, summary: object, global_step: int | None = None, walltime: float | None = None) -> None:
        """Write a summary as an event."""
        self.add_event(_event.Event(summary=summary), global_step, walltime)

    def flush(self) -> None:
        """Write what waits."""
        self.event_writer.flush()

    def close(self) -> None:
        """Write pending events, and close the file."""
        self.event_writer.close()

    def reopen(self) -> None:
        """Start another file after `close`."""
        self.event_writer.reopen()


# ------------------------------------------------------------------------------------------------ summaries


def _array(value: object) -> Array:
    """A tensor, a number or a list as an array of at least one dimension."""
    if isinstance(value, Tensor):
        return np.atleast_1d(value.detach().numpy())
    return np.atleast_1d(np.asarray(value))


def _summary_of(tag: str, **content: object) -> Any:
    return _summary.Summary(value=[_summary.Summary.Value(tag=tag, **content)])


def _scalar(tag: str, value: object) -> Any:
    found = _array(value)
    if found.size != 1:
        raise AssertionError(f"Tensor should contain one element (0 dimensions). Was given size: {found.size} and {found.ndim} dimensions.")  # fmt: skip  # noqa: E501
    return _summary_of(tag, simple_value=float(found.reshape(())))


def _bins() -> list[float]:
    """TensorFlow's: from 1e-12 on, each 10 % wider than the previous one, on both sides of 0."""
    positive, edge = [], 1e-12
    while edge < 1e20:
        positive.append(edge)
        edge *= 1.1
    return [-edge for edge in reversed(positive)] + [0.0] + positive


def _histogram(tag: str, values: object, bins: Any, max_bins: int | None) -> Any:
    flat = _array(values).astype(float).reshape(-1)
    if flat.size == 0:
        raise ValueError("The input has no element.")
    counts, limits = np.histogram(flat, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        step = len(counts) // max_bins
        counts = np.pad(counts, (0, -len(counts) % step)).reshape(-1, step).sum(-1)
        limits = np.append(limits[:-1:step], limits[-1])
    filled = np.flatnonzero(counts)
    start, end = int(filled[0]), int(filled[-1]) + 1
    counts = counts[start - 1 : end] if start > 0 else np.concatenate([[0], counts[:end]])
    limits = limits[start : end + 1]
    histogram = _summary.HistogramProto(
        min=flat.min(), max=flat.max(), num=len(flat), sum=flat.sum(), sum_squares=flat.dot(flat),
        bucket_limit=limits.tolist(), bucket=counts.tolist(),
    )  # fmt: skip
    return _summary_of(tag, histo=histogram)


def _grid(images: Array) -> Array:
    """(N, C, H, W) -> (C, rows * H, columns * W), at most 8 in a row."""
    if images.shape[1] == 1:
        images = images.repeat(3, 1)
    n, c, h, w = images.shape
    columns = min(n, 8)
    rows = -(-n // columns)
    canvas = np.zeros((rows * columns, c, h, w), images.dtype)
    canvas[:n] = images
    return canvas.reshape(rows, columns, c, h, w).transpose(2, 0, 3, 1, 4).reshape(c, rows * h, columns * w)


def _as_image(values: object, dataformats: str) -> Array:
    """Values in dimensions named by N, C, H, W -> (H, W, C)."""
    array, form = _array(values), dataformats.upper()
    if len(set(form)) != len(form) or array.ndim != len(form):
        raise AssertionError(
            f"size of input tensor and input format are different. tensor shape: {array.shape}, input_format: {dataformats}"
        )
    array = array.transpose([form.index(letter) for letter in {4: "NCHW", 3: "HWC", 2: "HW"}[len(form)]])
    if array.ndim == 4:
        return _grid(array).transpose(1, 2, 0)
    if array.ndim == 2:
        array = array[..., None]
    return array.repeat(3, 2) if array.shape[2] == 1 else array


def _image(tag: str, values: object, dataformats: str) -> Any:
    image = _as_image(values, dataformats)
    scale = 1 if image.dtype == np.uint8 else 255
    image = (image.astype(np.float32) * scale).clip(0, 255).astype(np.uint8)
    output = io.BytesIO()
    importlib.import_module("PIL.Image").fromarray(image).save(output, format="PNG")
    height, width, channels = image.shape
    encoded = output.getvalue()
    return _summary_of(
        tag, image=_summary.Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=encoded)
    )


def _metadata(plugin: str, content: bytes) -> Any:
    return _summary.SummaryMetadata(plugin_data=_summary.SummaryMetadata.PluginData(plugin_name=plugin, content=content))


def _text(tag: str, text: str) -> Any:
    about = importlib.import_module("tensorboard.plugins.text.plugin_data_pb2").TextPluginData(version=0)
    shape = _shape.TensorShapeProto(dim=[_shape.TensorShapeProto.Dim(size=1)])
    tensor = _tensor.TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
    return _summary_of(f"{tag}/text_summary", metadata=_metadata("text", about.SerializeToString()), tensor=tensor)


def _hyperparameters(given: dict[str, Any], metrics: dict[str, Any], discrete: dict[str, list[Any]]) -> list[Any]:
    """The summaries that describe an experiment, the start of a session, and its end."""
    api = importlib.import_module("tensorboard.plugins.hparams.api_pb2")
    data = importlib.import_module("tensorboard.plugins.hparams.plugin_data_pb2")
    names = importlib.import_module("tensorboard.plugins.hparams.metadata")
    values = importlib.import_module("google.protobuf.struct_pb2")
    start, infos = data.SessionStartInfo(), []
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, Tensor):
            value = float(_array(value)[0])
        if not isinstance(value, (int, float, str)):
            raise ValueError("value should be one of int, float, str, bool, or torch.Tensor")
        field, kind = ("string_value", "DATA_TYPE_STRING") if isinstance(value, str) else ("number_value", "DATA_TYPE_FLOAT64")
        setattr(start.hparams[name], field, value)
        domain = values.ListValue(values=[values.Value(**{field: one}) for one in discrete[name]]) if name in discrete else None
        infos.append(api.HParamInfo(name=name, type=api.DataType.Value(kind), domain_discrete=domain))
    asked = [api.MetricInfo(name=api.MetricName(tag=tag)) for tag in metrics]
    contents = [
        (names.EXPERIMENT_TAG, {"experiment": api.Experiment(hparam_infos=infos, metric_infos=asked)}),
        (names.SESSION_START_INFO_TAG, {"session_start_info": start}),
        (names.SESSION_END_INFO_TAG, {"session_end_info": data.SessionEndInfo(status=api.Status.Value("STATUS_SUCCESS"))}),
    ]
    return [
        _summary_of(
            tag,
            metadata=_metadata(
                names.PLUGIN_NAME, data.HParamsPluginData(version=names.PLUGIN_DATA_VERSION, **content).SerializeToString()
            ),
        )
        for tag, content in contents
    ]


class SummaryWriter:
    """Writes training logs to event files in ``log_dir``, by default ``runs/<date>_<host><comment>``.

    >>> writer = SummaryWriter("logs")  # doctest: +SKIP
    >>> writer.add_scalar("loss", 0.5, global_step=1)  # doctest: +SKIP
    """

    def __init__(
        self, log_dir: object = None, comment: str = "", purge_step: int | None = None, max_queue: int = 10,
        flush_secs: int = 120, filename_suffix: str = "",
    ) -> None:  # fmt: skip
        if not log_dir:
            log_dir = os.path.join("runs", f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}{comment}")
        self.log_dir, self.purge_step = str(log_dir), purge_step
        self._options = {"max_queue": max_queue, "flush_secs": flush_secs, "filename_suffix": filename_suffix}
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] = {}
        self.default_bins = _bins()
        self._writer()

    def _writer(self) -> FileWriter:
        """The writer of the folder; a new one after `close`."""
        if self.file_writer is None:
            self.file_writer = FileWriter(self.log_dir, **self._options)  # type: ignore[arg-type]
            self.all_writers[self.file_writer.get_logdir()] = self.file_writer
            if self.purge_step is not None:
                step, status = self.purge_step, _event.SessionLog
                self.file_writer.add_event(_event.Event(step=step, file_version="brain.Event:2"))
                self.file_writer.add_event(_event.Event(step=step, session_log=status(status=status.START)))
                self.purge_step = None
        return self.file_writer

    _get_file_writer = _writer

    def get_logdir(self) -> str:
        """The folder."""
        return self.log_dir

    def add_scalar(
        self, tag: str, scalar_value: object, global_step: int | None = None, walltime: float | None = None,
        new_style: bool = False, double_precision: bool = False,
    ) -> None:  # fmt: skip
        """Add a number."""
        self._writer().add_summary(_scalar(tag, scalar_value), global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Add numbers that are shown together, each in its own folder."""
        walltime = time.time() if walltime is None else walltime
        folder = self._writer().get_logdir()
        for tag, value in tag_scalar_dict.items():
            name = f"{folder}/{main_tag.replace('/', '_')}_{tag}"
            if name not in self.all_writers:
                self.all_writers[name] = FileWriter(name, **self._options)  # type: ignore[arg-type]
            self.all_writers[name].add_summary(_scalar(main_tag, value), global_step, walltime)

    def add_histogram(
        self, tag: str, values: object, global_step: int | None = None, bins: object = "tensorflow",
        walltime: float | None = None, max_bins: int | None = None,
    ) -> None:  # fmt: skip
        """Add the distribution of the values."""
        edges = self.default_bins if isinstance(bins, str) and bins == "tensorflow" else bins
        self._writer().add_summary(_histogram(tag, values, edges, max_bins), global_step, walltime)

    def add_image(
        self, tag: str, img_tensor: object, global_step: int | None = None, walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:  # fmt: skip
        """Add a picture: numbers from 0 to 1, or bytes."""
        self._writer().add_summary(_image(tag, img_tensor, dataformats), global_step, walltime)

    def add_images(
        self, tag: str, img_tensor: object, global_step: int | None = None, walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:  # fmt: skip
        """Add several pictures, eight in a row."""
        self._writer().add_summary(_image(tag, img_tensor, dataformats), global_step, walltime)

    def add_figure(
        self, tag: str, figure: Any, global_step: int | None = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """Add a figure of matplotlib, or a list of figures of one size."""
        figures = figure if isinstance(figure, list) else [figure]
        pictures = []
        for one in figures:
            one.canvas.draw()
            pictures.append(np.asarray(one.canvas.buffer_rgba())[..., :3].transpose(2, 0, 1))
            if close:
                importlib.import_module("matplotlib.pyplot").close(one)
        if isinstance(figure, list):
            self.add_image(tag, np.stack(pictures), global_step, walltime, dataformats="NCHW")
        else:
            self.add_image(tag, pictures[0], global_step, walltime)

    def add_text(self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None) -> None:
        """Add a text in Markdown."""
        self._writer().add_summary(_text(tag, text_string), global_step, walltime)

    def add_hparams(
        self, hparam_dict: dict[str, Any], metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | None = None, run_name: str | None = None, global_step: int | None = None,
    ) -> None:  # fmt: skip
        """Add hyperparameters and their metrics, in their own folder."""
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        summaries = _hyperparameters(hparam_dict, metric_dict, hparam_domain_discrete or {})
        folder = Path(self._writer().get_logdir()) / (run_name or str(time.time()))
        with SummaryWriter(log_dir=folder) as writer:
            for summary in summaries:
                writer._writer().add_summary(summary, global_step)
            for tag, value in metric_dict.items():
                writer.add_scalar(tag, value, global_step)

    def __getattr__(self, name: str) -> Any:
        if (
            name
            not in "add_audio add_custom_scalars add_embedding add_graph add_mesh add_onnx_graph add_pr_curve add_video".split()
        ):
            raise AttributeError(f"'SummaryWriter' object has no attribute '{name}'")

        def refuse(*args: object, **kwargs: object) -> NoReturn:
            raise NotImplementedError(f"mini_dl has no torch.utils.tensorboard.SummaryWriter.{name} (see docs/coverage.md)")

        return refuse

    def flush(self) -> None:
        """Write what waits."""
        for writer in self.all_writers.values():
            writer.flush()

    def close(self) -> None:
        """Write pending events, and close the files."""
        for writer in self.all_writers.values():
            writer.flush()
            writer.close()
        self.file_writer, self.all_writers = None, {}

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
