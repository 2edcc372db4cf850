"""A profile has the kernels that ran, in their ranges, and costs nothing when off."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import mini_dl as torch
from mini_dl import _profiling as profiler
from mini_dl.autograd.mode import mode


def test_a_profile_has_the_kernels_with_their_shapes_and_memory() -> None:
    x = torch.ones(2, 3)
    with torch.profiler.profile(record_shapes=True, profile_memory=True) as prof:
        _ = x.exp() + x
    events = prof.events()
    assert [(event.key, event.input_shapes) for event in events] == [("aten::exp", [[2, 3]]), ("aten::add", [[2, 3], [2, 3]])]
    assert [event.cpu_memory_usage for event in events] == [24, 24]
    assert [event.id for event in events] == [1, 2]
    assert all(event.cpu_time_total > 0 for event in events)


def test_a_kernel_that_threads_share_has_the_name_that_it_has_otherwise() -> None:
    x = torch.ones(1 << 19)
    with torch.profiler.profile(record_shapes=True) as prof:
        _ = x + x, x.exp()
    assert [(event.key, len(event.input_shapes)) for event in prof.events()] == [("aten::add", 2), ("aten::exp", 1)]


def test_ranges_with_names_hold_what_runs_in_them() -> None:
    x = torch.ones(3)
    with torch.profiler.profile() as prof:
        with torch.profiler.record_function("outer"):
            _ = x.exp()
            with torch.profiler.record_function("inner"):
                _ = x.sin()
        _ = x.cos()
    by_name = {event.key: event for event in prof.events()}
    assert [child.key for child in by_name["outer"].cpu_children] == ["aten::exp", "inner"]
    assert by_name["aten::sin"].cpu_parent is by_name["inner"]
    assert by_name["aten::cos"].cpu_parent is None
    outer = by_name["outer"]
    assert outer.self_cpu_time_total == pytest.approx(outer.cpu_time_total - sum(c.cpu_time_total for c in outer.cpu_children))


def test_the_memory_of_a_kernel_is_that_of_each_range_around_it() -> None:
    x = torch.ones(3)
    with torch.profiler.profile(profile_memory=True) as prof, torch.profiler.record_function("outer"):
        _ = x.exp()
        with torch.profiler.record_function("middle"):
            with torch.profiler.record_function("inner"):
                _ = x.sin() + x
            with torch.profiler.record_function("empty"):
                pass
        torch.profiler.record_function("left open").__enter__()
    memory = {event.key: (event.cpu_memory_usage, event.self_cpu_memory_usage) for event in prof.events()}
    assert memory["inner"] == (24, 0) and memory["middle"] == (24, 0) and memory["outer"] == (36, 0)
    assert memory["empty"] == memory["left open"] == (0, 0) and memory["aten::sin"] == memory["aten::exp"] == (12, 12)


def test_averages_by_name_and_the_table() -> None:
    x = torch.ones(3)
    with torch.autograd.profiler.profile(profile_memory=True) as prof:
        for _ in range(3):
            x.exp()
        x.sin()
    averages = prof.key_averages()
    assert {average.key: average.count for average in averages} == {"aten::exp": 3, "aten::sin": 1}
    table = averages.table(sort_by="count", row_limit=1)
    assert "aten::exp" in table and "aten::sin" not in table
    assert "Self CPU time total" in table and "CPU Mem" in table and "# of Calls" in table
    assert prof.total_average().count == 4
    assert str(prof).count("aten::") == 4


def test_outside_a_profile_kernels_run_as_before_also_after_an_error() -> None:
    before = mode.enter
    with pytest.raises(ValueError, match="inside"), torch.profiler.profile():
        raise ValueError("inside")
    assert mode.enter is before
    with torch.autograd.profiler.profile(enabled=False) as nothing:
        assert nothing is None and mode.enter is before


def test_a_kernel_that_fails_is_recorded_and_its_error_is_seen() -> None:
    with pytest.raises(RuntimeError), torch.profiler.profile() as prof:
        torch.linalg.cholesky(torch.zeros(2, 2))
    _ = torch.ones(1) + 1
    assert prof is not None


def test_backward_is_measured_and_other_threads_are_not() -> None:
    x = torch.ones(3, requires_grad=True)
    y = x.exp().sum()
    with torch.profiler.profile() as prof:
        y.backward()
        other = threading.Thread(target=lambda: x.detach().sin())
        other.start()
        other.join()
    names = [event.key for event in prof.events()]
    assert names and "aten::sin" not in names


def test_a_schedule_says_which_steps_are_recorded() -> None:
    action, kinds = torch.profiler.schedule(skip_first=1, wait=1, warmup=1, active=2, repeat=1), torch.profiler.ProfilerAction
    expected = [kinds.NONE, kinds.NONE, kinds.WARMUP, kinds.RECORD, kinds.RECORD_AND_SAVE, kinds.NONE]
    assert [action(step) for step in range(6)] == expected
    with pytest.raises(AssertionError, match="Invalid profiler schedule"):
        torch.profiler.schedule(wait=-1, warmup=0, active=1)
    ready: list[Any] = []
    x = torch.ones(2)
    steps = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=2)
    with torch.profiler.profile(schedule=steps, on_trace_ready=lambda prof: ready.append(prof.key_averages())) as prof:
        for _ in range(10):
            x.exp()
            prof.step()
    assert len(ready) == 2
    assert [{average.key: average.count for average in averages}["aten::exp"] for averages in ready] == [2, 2]


def test_a_trace_is_a_file_for_chromes_viewer(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with torch.profiler.profile() as prof, torch.profiler.record_function("range"):
        _ = torch.ones(3).exp()
    prof.export_chrome_trace(str(path))
    events = json.loads(path.read_text())["traceEvents"]
    assert [(event["name"], event["cat"]) for event in events] == [("range", "user_annotation"), ("aten::exp", "cpu_op")]
    handler = torch.profiler.tensorboard_trace_handler(str(tmp_path / "traces"), worker_name="me")
    with torch.profiler.profile(on_trace_ready=handler):
        _ = torch.ones(3).exp()
    assert [file.name.partition(".")[0] for file in (tmp_path / "traces").iterdir()] == ["me"]


def test_numbers_are_written_in_units_that_fit() -> None:
    assert [profiler.time_text(t) for t in (1.5, 1500.0, 2.5e6)] == ["1.500us", "1.500ms", "2.500s"]
    assert [profiler.memory_text(n) for n in (12, 2048, 3 << 20, -(5 << 30))] == ["12 B", "2.00 KB", "3.00 MB", "-5.00 GB"]
