"""Argument handling: other names, numbers in tensors, several as one, and invalid ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mini_dl as torch


def test_numpys_names_are_taken_for_torchs() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.sum(x=x, axis=1).tolist() == x.sum(1).tolist()
    assert x.amax(axis=0, keepdims=True).shape == (1, 3)
    assert torch.add(x1=x, x2=x).tolist() == (x + x).tolist()
    assert torch.stack([x, x], axis=1).shape == (2, 2, 3)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(TypeError):
        torch.sum(torch.ones(2, 3), 1, axis=0)


def test_a_function_that_torch_wrote_in_python_takes_no_other_names() -> None:
    with pytest.raises(TypeError):
        torch.nn.functional.softmax(torch.ones(2, 3), axis=1)


def test_ints_may_come_in_tensors_and_from_numpy() -> None:
    x = torch.ones(2, 3)
    assert len(x.chunk(torch.tensor(2), np.int64(0))) == 2
    assert torch.zeros(torch.tensor(2), 3).shape == (2, 3)


@pytest.mark.parametrize("wrong", [True, 1.5, "a", None, torch.tensor(1.5), [1]])
def test_what_is_no_int_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="chunks"):
        torch.ones(2).chunk(wrong)


@pytest.mark.parametrize("wrong", [2, "a", None, 1.5])
def test_what_is_no_bool_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="keepdim"):
        torch.ones(2).amax(0, wrong)


def test_a_list_of_what_is_no_int_is_refused_in_the_words_of_the_parser() -> None:
    with pytest.raises(TypeError, match="stride"):
        torch.nn.functional.conv1d(torch.ones(1, 1, 3), torch.ones(1, 1, 1), stride=["a"])


def test_sizes_that_cannot_be_counted_are_runtime_errors() -> None:
    with pytest.raises(RuntimeError, match="overflowed"):
        torch.zeros(2**62, 2**62)
    with pytest.raises(TypeError, match="64 bits"):
        torch.zeros(2**70)


def test_empty_lies_in_memory_as_it_is_asked_to() -> None:
    assert torch.empty(1, 2, 3, 3, memory_format=torch.channels_last).stride() == (18, 1, 6, 2)


def test_an_optimizer_need_not_call_the_constructor_of_its_base() -> None:
    class Own(torch.optim.Optimizer):
        def __init__(self) -> None:
            pass

        def step(self, closure: object = None) -> int:
            return 1

    assert Own().step() == 1


def test_a_parameter_without_a_shape_has_empty_data() -> None:
    layer = torch.nn.LazyLinear(1)
    layer.weight.data.normal_(0, 0.01)
    assert layer.weight.data.shape == (0,)


def test_cuda_is_known_and_absent() -> None:
    assert not torch.cuda.is_available()
    assert torch.cuda.device_count() == 0
    torch.cuda.manual_seed_all(0)
    for action in (torch.cuda.synchronize, torch.ones(1).cuda, torch.nn.Linear(1, 1).cuda):
        with pytest.raises(AssertionError, match="not compiled with CUDA"):
            action()


def test_new_tensors_are_made_within_a_device() -> None:
    with torch.device("cpu") as device:
        assert torch.zeros(1).device == device


def test_a_packed_sequence_longer_than_its_data_is_refused() -> None:
    with pytest.raises(RuntimeError, match="3 steps"):
        torch.nn.utils.rnn.pack_padded_sequence(torch.ones(3, 2, 1), [4, 2])


def test_packed_sequences_tell_where_they_are() -> None:
    packed = torch.nn.utils.rnn.pack_sequence([torch.ones(2)])
    assert not packed.is_cuda
    assert not packed.is_pinned()
    assert packed.long().data.dtype is torch.int64


def test_recurrent_networks_tell_the_names_of_their_weights() -> None:
    names = torch.nn.GRU(1, 2)._flat_weights_names
    assert names == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]


def test_types_of_tensors_can_be_united() -> None:
    assert bool(torch.LongTensor | None)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.contiguous(),
        lambda x: x.contiguous(memory_format=torch.contiguous_format),
        lambda x: x.clone(memory_format=torch.preserve_format),
        lambda x: torch.zeros_like(x, memory_format=torch.preserve_format),
        lambda x: x.sum(dtype=torch.float64),
        lambda x: x.cumsum(0, dtype=torch.float64),
        lambda x: x.clamp(-1, 1),
        lambda x: x.clamp(0.0, max=1),
        lambda x: x.clamp_(-1, 1),
    ],
)
def test_arguments_of_the_right_type_need_no_second_look(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(2, 2)
    call(x)  # which generates the code that checks
    monkeypatch.setattr("mini_dl._arguments.Parser.resolve", lambda *_: pytest.fail("taken for wrong"))
    call(x)
