"""Rare arguments: other kinds of numbers, types and strings, misused classes, explicitly exited contexts."""

from __future__ import annotations

import pytest

from parity_tests.twin import function_of, outcome, raised, twin


class Index:
    """An object that counts as the int 2."""

    def __index__(self):
        return 2


@twin
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_steps_smaller_than_one_in_integers(torch, rng, dtype):
    steps = [(0, 1, 0.3), (0, 2, 0.7), (3, 1, -0.5), (0.5, 2.7, 0.4), (0, 3, 1.5)]
    return [outcome(lambda given=given: torch.arange(*given, dtype=getattr(torch, dtype))) for given in steps]


@twin
def test_half_precision_is_counted_from_the_nearer_end_in_rounded_steps(torch, rng):
    return [torch.linspace(0, end, steps, dtype=torch.float16) for end, steps in [(10, 4), (1, 7), (50, 30), (-3, 11)]]


@twin
def test_text_and_ragged_lists_as_data(torch, rng):
    data = [["a"], "a", [["ab"]], [1, "a"], [None], [1, None], {}, [{}], [1j], [[], [1]], [[1], []], [[1, 2], [3]]]
    types = [None, torch.int64, torch.float32, torch.bool]
    return [outcome(lambda one=one, dtype=dtype: torch.tensor(one, dtype=dtype).shape) for one in data for dtype in types]


@twin
def test_objects_that_count_as_ints(torch, rng):
    x = rng(4, 3)
    return [
        x[Index()], x.narrow(0, 0, Index()), x.select(0, Index()), x.reshape(Index(), 6), torch.ones(Index()).shape, x[Index() :],
        x.repeat(Index(), 1), torch.eye(Index()), x.sum(Index()) if x.ndim > 2 else x.cumsum(0),
    ]  # fmt: skip


@twin
def test_infinities_of_bfloat16_become_its_limits(torch, rng):
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 2.0]).bfloat16()
    return torch.nan_to_num(x), torch.nan_to_num(x, 1.0, 2.0), torch.nan_to_num(x, neginf=-7.0)


@twin
def test_nan_in_the_gradient_of_logit(torch, rng):
    shown = []
    for eps in (None, 0.1, 0.0):
        x = torch.tensor([float("nan"), 0.5, 0.05, 1.5], requires_grad=True)
        x.logit(eps).sum().backward()
        shown.append(x.grad)
    return shown


@twin
def test_what_has_no_derivative_says_so(torch, rng):
    shown = []
    for call in (torch.floor_divide, torch.heaviside):
        x, y = rng(3, grad=True), rng(3).abs()
        shown.append(raised(lambda call=call, x=x, y=y: call(x, y).sum().backward()))
    return shown


@twin
def test_a_function_is_not_called_by_its_instance(torch, rng):
    Double = function_of(torch, forward=lambda ctx, x: x * 2)
    return raised(lambda: Double()(rng(2)))


@twin
def test_a_switch_of_the_mode_is_put_back_by_hand(torch, rng):
    switch = torch.set_grad_enabled(False)
    shown = [torch.is_grad_enabled()]
    switch.__exit__(None, None, None)
    return [*shown, torch.is_grad_enabled()]


@twin
def test_what_an_index_put_may_be_written_afterwards(torch, rng):
    leaf, value = rng(3, 2, grad=True), rng(1)
    x = leaf.clone()
    x[torch.tensor([2, 2]), None] = value
    value[...] = 5.0
    (x * x).sum().backward()
    return leaf.grad


@twin
def test_types_that_are_not(torch, rng):
    given = [int, float, bool, complex, "float32", 3, 1j, str, slice(1), rng(1), torch.int8, torch.float64]
    calls = [
        torch.finfo, torch.iinfo, lambda one: torch.promote_types(one, torch.int8), lambda one: torch.can_cast(torch.int8, one),
        lambda one: torch.can_cast(one, torch.int8),
    ]  # fmt: skip
    return [outcome(lambda call=call, one=one: str(call(one)).replace("mini_dl", "torch")) for call in calls for one in given]


@twin
def test_what_is_not_a_bool_or_a_place(torch, rng):
    pad, pack = torch.nn.utils.rnn.pad_sequence, torch.nn.utils.rnn.pack_padded_sequence
    calls = [
        *[lambda one=one: pad([rng(2)], one) for one in (1j, b"x", rng(1), 3)],
        *[lambda one=one: pack(rng(2, 3, 1), [3, 2], one) for one in (b"x", "a", 1.5)],
        *[lambda one=one: torch.hann_window(4, one) for one in (b"x", 1.5, "a")],
        *[lambda one=one: torch.nn.Parameter(rng(1), one) for one in ((1, 2), "a", 1.5)],
        *[lambda one=one: torch.device("cpu", one) for one in (-7, 1.5, "a")],
        lambda: torch.device("cpu:1", 0),
        *[lambda one=one: rng(3).set_(one) for one in (len, 3, "a", [1.0])],
        lambda: rng(3).put_(torch.tensor([0, 1]), rng(1, 1)),
    ]
    return [raised(call) for call in calls]


INTEGERS = ["uint8", "int16", "bool"]


@twin
@pytest.mark.parametrize(
    "name", "bitwise_and bitwise_or bitwise_xor gcd lcm hypot nextafter logaddexp bitwise_left_shift".split()
)
def test_a_result_that_does_not_fit_is_named_before_a_type_without_a_kernel(torch, rng, name):
    shown = []
    for first in (*INTEGERS, "float32"):
        for second in (*INTEGERS, "float16", "float64"):
            for shape in ((), (3,)):
                x = torch.ones(3, dtype=getattr(torch, first))
                y = torch.ones(shape, dtype=getattr(torch, second))
                shown.append(raised(lambda x=x, y=y: getattr(torch, name)(x, y, out=x)))
                if hasattr(torch.Tensor, name + "_"):
                    shown.append(raised(lambda x=x, y=y: getattr(x, name + "_")(y)))
    return shown
