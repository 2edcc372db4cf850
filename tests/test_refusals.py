"""Mistakes in adding an operation raise errors that say what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl._dtypes import Array
from mini_dl._surface import NAMESPACES, function, method, namespace, public, publish
from mini_dl.autograd.formal import piecewise
from mini_dl.autograd.forwards import known
from mini_dl.autograd.primitive import binary, op, op_together, recorded_as, unary, view
from mini_dl.kernels.blocks import elementwise


@pytest.fixture(autouse=True)
def published() -> Iterator[None]:
    """Undo what a test published."""
    names, methods = {where: set(found) for where, found in NAMESPACES.items()}, set(vars(torch.Tensor))
    yield
    for where, found in NAMESPACES.items():
        for name in set(found) - names[where]:
            del found[name]
    for name in set(vars(torch.Tensor)) - methods:
        delattr(torch.Tensor, name)
    for one in (body, other_body):
        vars(one).clear()


def body(input: Any) -> Any:
    return input * 2


def other_body(input: Any) -> Any:
    return input * 3


other_body.__name__ = "body"


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize("place", ["torch", "Tensor", "nn.functional", "special", "linalg", "fft"])
def test_a_name_is_published_once_in_each_place(place: str) -> None:
    public(place)(body)
    lines = [f.__code__.co_firstlineno for f in (body, other_body)]
    where = rf"{place}\.body is published twice: .*{__name__.rpartition('.')[2]}\.py:{lines[0]} and .*:{lines[1]}"
    with pytest.raises(TypeError, match=where):
        public(place)(other_body)
    with pytest.raises(TypeError, match="published twice"):
        public(f"{place}:body")(lambda input: input)


def test_a_name_of_the_library_cannot_be_published_again() -> None:
    def exp(input: Any) -> Any:
        return input

    for decorator in (method(), function(), public("Tensor")):
        with pytest.raises(TypeError, match=r"exp is published twice: .*\.py:\d+ and "):
            decorator(exp)
    with pytest.raises(TypeError, match=r"torch\.exp_ is published twice"):
        namespace("torch")["exp_"] = exp
    with pytest.raises(TypeError, match=r"Tensor\.exp is published twice"):
        publish("Tensor", "exp", exp)


def test_the_in_place_version_and_the_operators_are_names_too() -> None:
    @method()
    def body_(input: Any) -> Any:
        return input

    with pytest.raises(TypeError, match=r"Tensor\.body_ is published twice"):
        public("Tensor", inplace=True)(body)
    with pytest.raises(TypeError, match=r"Tensor\.__add__ is published twice"):
        public("special", operators="__add__")(other_body)


def test_there_are_no_other_places() -> None:
    with pytest.raises(TypeError, match=r"body cannot be published in 'nn\.functionl'; the places are .*nn\.functional"):
        public("nn.functionl")(body)


# ------------------------------------------------------------------------------------------------ order


MAKERS = [
    op(input=lambda grad: grad),
    op_together(lambda grad, wanted: [grad], "input"),
    unary(input=lambda grad: grad),
    view(input=lambda grad: grad),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("publisher", [method(), public("special"), public("Tensor"), function(out=True)])
def test_a_primitive_is_made_before_it_is_published(make: Any, publisher: Any) -> None:
    def doubled(input: Any) -> Any:
        return input * 2

    with pytest.raises(TypeError, match=r"doubled: it was published before it became a primitive.* must stand above"):
        make(publisher(doubled))


def test_of_two_arguments_too() -> None:
    @method()
    def combined(input: Any, other: Any) -> Any:
        return input + other

    with pytest.raises(TypeError, match="combined: it was published before"):
        binary(input=lambda grad: grad)(combined)


@pytest.mark.parametrize("make", MAKERS)
def test_a_primitive_is_made_once(make: Any) -> None:
    with pytest.raises(TypeError, match="body: it is a primitive already"):
        make(unary()(body))


def test_what_marks_a_primitive_stands_above_what_makes_it() -> None:
    with pytest.raises(TypeError, match="body: it is not a primitive; `recorded_as` must stand above"):
        recorded_as("Body")(body)
    with pytest.raises(TypeError, match="body: it is not a primitive; `piecewise` must stand above"):
        piecewise("input")(body)


def test_what_wraps_a_body_stands_below() -> None:
    with pytest.raises(TypeError, match="body: `elementwise` must stand below"):
        elementwise(unary()(body))


def test_the_right_order_has_its_gradient() -> None:
    @method()
    @recorded_as("Tripled")
    @unary(input=lambda grad: grad * 3)
    def tripled(input: Any) -> Any:
        return input * 3

    x = torch.ones(2, requires_grad=True)
    torch.Tensor.tripled(x).sum().backward()  # type: ignore[attr-defined]
    assert x.grad is not None
    assert x.grad.tolist() == [3, 3]


# ------------------------------------------------------------------------------------------------ results


WRONG = {
    "list of ndarray": lambda x: [x],
    "list of ndarray, ndarray, ndarray": lambda x: [x, x, x],
    "list": lambda x: x.tolist(),
    "NoneType": lambda x: None,
    "float": lambda x: float(x.sum()),
    "bool": lambda x: True,
    "Tensor": lambda x: torch.ones(2),
    "dict": lambda x: {},
    "str": lambda x: "x",
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("make", MAKERS)
def test_a_forward_gives_arrays(make: Any, kind: str) -> None:
    @make
    def broken(input: Any) -> Any:
        return WRONG[kind](input)

    for requires_grad in (False, True):
        x = torch.ones(2, requires_grad=requires_grad)
        with pytest.raises(TypeError, match=f"broken: its forward must return an array.*, not {kind}"):
            broken(x)


@pytest.mark.parametrize("kind", WRONG)
def test_one_of_two_arguments_too(kind: str) -> None:
    @binary()
    def broken(input: Any, other: Any) -> Any:
        return WRONG[kind](input)

    for call in (broken, broken.operator):
        with pytest.raises(TypeError, match=f"broken: its forward must return an array.*, not {kind}"):
            call(torch.ones(2), torch.ones(2))


def test_each_of_several_results_is_an_array() -> None:
    @op()
    def broken(input: Any) -> Any:
        return input, [input]

    with pytest.raises(TypeError, match=r"broken: its forward must return an array.*, not list of ndarray"):
        broken(torch.ones(2))


def test_elementwise_operations_give_one_array() -> None:
    @unary()
    def broken(input: Any) -> Any:
        return input, input

    with pytest.raises(TypeError, match=r"broken: .*, not tuple of ndarray, ndarray"):
        broken(torch.ones(2))


def test_numpy_scalars_and_named_tuples_are_arrays() -> None:
    @op()
    def both(input: Any) -> Any:
        return input.sum(), input[0]

    @op()
    def decomposed(input: Any) -> Any:
        return np.linalg.eigh(input)

    total, first = both(torch.ones(2))
    assert (total.item(), first.item()) == (2, 1)
    values, vectors = decomposed(torch.eye(2))
    assert values.tolist() == [1, 1]
    assert vectors.shape == (2, 2)


def test_an_array_of_objects_is_not_numbers() -> None:
    @op()
    def broken(input: Any) -> Any:
        return np.array([None, 1])

    with pytest.raises(TypeError, match="broken: its forward must return numbers, not an array of object"):
        broken(torch.ones(2))


def refused(call: Any, match: str, requires_grad: bool = False) -> None:
    """A call is refused, and so is the next one."""
    for _ in range(2):
        x = torch.ones(3, requires_grad=requires_grad)
        with pytest.raises(TypeError, match=match):
            y = call(x)
            if requires_grad:
                y.sum().backward()
        assert x.tolist() == [1, 1, 1] or not requires_grad


@pytest.mark.parametrize("make", MAKERS)
def test_a_forward_leaves_its_arguments_as_they_are(make: Any) -> None:
    @make
    def doubled(input: Any) -> Any:
        return np.multiply(input, 2, out=input) + 0

    refused(doubled, "doubled: its forward writes into the array of an argument")


def test_a_forward_is_not_blamed_for_what_another_thread_writes_meanwhile() -> None:
    x = torch.zeros(3)

    @op(input=lambda grad: grad)
    def slow(input: Any) -> Any:
        writer = threading.Thread(target=x.numpy().fill, args=(1,))
        writer.start()
        writer.join()
        return np.array(input)

    assert slow(x).tolist() == [1, 1, 1]


def test_of_two_arguments_too_and_of_those_in_a_list() -> None:
    @binary()
    def added(input: Any, other: Any) -> Any:
        other += input
        return other * 1

    @op()
    def joined(tensors: Any) -> Any:
        tensors[1][0] = 7
        return np.concatenate(tensors)

    refused(lambda x: added(torch.ones(3), x), "added: its forward writes into the array of an argument")
    refused(lambda x: joined([torch.ones(2), x]), "joined: its forward writes into the array of an argument")


@pytest.mark.parametrize("look", [lambda x: x, lambda x: x[::2], lambda x: x.reshape(1, -1)], ids=["all", "part", "shape"])
def test_a_result_in_the_memory_of_an_argument_is_declared_as_a_view(look: Any) -> None:
    @op(input=lambda grad: grad)
    def looking(input: Any) -> Any:
        return look(input)

    refused(looking, "looking: its forward returns memory of an argument")
    looking = view()(look)
    assert looking(torch.ones(4))._is_view()


def test_several_results_may_be_parts_of_an_argument() -> None:
    assert [part.tolist() for part in torch.ones(2, 1).unbind()] == [[1], [1]]
    assert (torch.ones(2, 3, 4) @ torch.ones(4, 5)).shape == (2, 3, 5)  # by a product of matrices, in another shape


def test_a_forward_that_writes_into_what_it_may_spare_is_not_meant() -> None:
    assert torch.ones(3).cumsum_(0).tolist() == [1, 2, 3]
    assert torch.zeros(3).nan_to_num_().tolist() == [0, 0, 0]


def test_an_elementwise_result_has_the_shape_and_the_precision_of_the_arguments() -> None:
    @unary(input=lambda grad: grad)
    def summed(input: Any) -> Any:
        return input.sum()

    @unary(input=lambda grad: grad)
    def scaled(input: Any) -> Any:
        return input * np.sqrt(2)

    @binary()
    def averaged(input: Any, other: Any) -> Any:
        return (input + other) / np.float64(2)

    refused(summed, "summed: `unary` declares what is computed element by element, .* declare it by `op`")
    refused(scaled, "scaled: its forward computes in float64 from float32: .* use Python's")
    refused(lambda x: averaged(x, x), "averaged: its forward computes in float64 from float32")
    assert scaled(torch.ones(1, dtype=torch.float64)).dtype is torch.float64


def test_a_forward_and_a_formula_name_what_they_take() -> None:
    for formula in (lambda grad, *more: grad, lambda grad, **more: grad, lambda grad, input=2: grad, lambda grad, *, input: grad):
        with pytest.raises(TypeError, match="body: the formula of 'input' must name what it takes"):
            unary(input=formula)(body)

    def several(*tensors: Any) -> Any:
        return tensors[0]

    with pytest.raises(TypeError, match="several: a forward must name its arguments"):
        op()(several)


def test_a_published_function_of_arrays_must_become_a_primitive() -> None:
    @method()
    def bent(input: Any) -> Any:
        return np.tanh(input._array)

    with pytest.raises(TypeError, match="bent: it returned an array; a composition returns tensors"):
        torch.Tensor.bent(torch.ones(2))  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------ formulas


def test_a_decorator_is_called_before_it_decorates() -> None:
    for decorator, name in ((op, "op"), (unary, "unary"), (binary, "binary"), (view, "view"), (method, "method")):
        with pytest.raises(TypeError, match=rf"body: a decorator is called before it decorates, `@{name}\(\)`"):
            decorator(body)  # type: ignore[operator]
    with pytest.raises(TypeError, match=r"lambda.* formulas are given by name"):
        unary(lambda grad: grad)


@pytest.mark.parametrize("make", [op, view])
def test_a_formula_belongs_to_a_parameter_and_asks_for_what_there_is(make: Any) -> None:
    with pytest.raises(TypeError, match=r"body\(\) has no argument 'inptu' to differentiate"):
        make(inptu=lambda grad: grad)(body)
    with pytest.raises(TypeError, match=r"body: the formula of 'input' asks for unknown \['inptu'\]"):
        make(input=lambda grad, inptu: grad)(body)
    with pytest.raises(TypeError, match=r"body: the formula of 'input' must take `grad` .* first"):
        make(input=lambda g: g)(body)
    with pytest.raises(TypeError, match="body: the formula of 'input' must be a function, not int"):
        make(input=3)(body)


@pytest.mark.parametrize("wrong", [lambda grad, input: grad._array, lambda grad, input: 2.0, lambda grad, input: "grad"])
def test_a_formula_gives_tensors(wrong: Any) -> None:
    @unary(input=wrong)
    def doubled(input: Any) -> Any:
        return input * 2

    with pytest.raises(TypeError, match=r"doubled: the formula of 'input' must return a tensor, or None .* not "):
        doubled(torch.ones(2, requires_grad=True)).sum().backward()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda grad, input: grad * np.exp(input),
        lambda grad, input: grad * torch.from_numpy(np.exp(input.numpy())),
        lambda grad, input: np.negative(grad),
        lambda grad, input: torch.tensor(np.asarray(grad)),
    ],
)
def test_a_formula_computes_with_tensors_and_asks_none_for_its_array(wrong: Any) -> None:
    bent = unary(input=wrong)(body)
    refused(bent, "body: its formula asks for the array of a tensor", requires_grad=True)
    assert np.exp(torch.zeros(1)).tolist() == [1]  # elsewhere NumPy's functions are welcome


@pytest.mark.parametrize("given", [1, 3])
def test_one_formula_of_several_arguments_gives_a_gradient_for_each(given: int) -> None:
    @op_together(lambda grad, wanted: [grad] * given, "input", "other")
    def added(input: Any, other: Any) -> Any:
        return input + other

    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=rf"added: its formula must return a list of 2, for \['input', 'other'\], not of {given}"):
        added(x, y).sum().backward()


@pytest.mark.parametrize("wrong", [lambda grad: grad, lambda grad: [grad]])
def test_the_formula_of_a_list_gives_a_gradient_for_each_tensor(wrong: Any) -> None:
    @op(tensors=wrong)
    def added(tensors: Any) -> Any:
        return tensors[0] + tensors[1]

    with pytest.raises(TypeError, match="added: the formula of 'tensors' must return a list of 2, one for each tensor"):
        added([torch.ones(2, requires_grad=True), torch.ones(2)]).sum().backward()


WITHOUT = frozenset(
    "_all _any _argmax _argmin _attention_backward _cofactors _count_nonzero _gru_steps_backward _hash "
    "_isclose _kth _lstm_steps_backward _middle _most_frequent _qr_whole _running _singular_values _top _view_type "
    "airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 bitwise_and bitwise_left_shift bitwise_not bitwise_or "
    "bitwise_right_shift bitwise_xor channel_norm_backward eq evaluated gcd ge gt isfinite isinf isnan isneginf isposinf isreal "
    "largest lcm le logical_and logical_not logical_or logical_xor lt modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 "
    "modified_bessel_k1 ne order places_of_maxima row_norm_backward scaled_modified_bessel_k0 scaled_modified_bessel_k1 shares "
    "cross_entropy_slope signbit spherical_bessel_j0 zero_of "
    "_at_maxima.input _beyond.input _attention.mask _attention.alive _blocked.array _cross_entropy.index _cross_entropy.factors "
    "_cross_entropy.kept _ctc.extended _ctc.input_lengths _ctc.target_lengths _ctc_backward.losses _ctc_backward.alpha "
    "_ctc_backward.extended _ctc_backward.input_lengths _ctc_backward.target_lengths _embedding.indices "
    "_embedding_sparse.indices _gather.index _gelu_backward.slope _index_add.index _index_copy.index _index_fill.index "
    "_index_reduce.index _index_select.index _ldexp.exponent _leaky_slope.input _masked_fill.mask _masked_scatter.mask "
    "_masked_select.mask _moved.value _moved.slope _pick.index _prelu_slope.input _put.index _put_at.places _rows_at.index "
    "_rows_summed.index _scatter.index _scatter_add.index _scatter_reduce.index _silu_backward.divisor _slope_of_gamma.output "
    "_lu_square.LU _take.index log_softmax_backward.kept "
    "_unique2.at _unique_consecutive.at _unique_dim.at "
    "_to_maxima.input _to_maxima.taps _unpick.index _unpool.places _values_at.places _where.condition _within.input "
    "compared.result masked.mask tied.result tied_to_empty.result".split()
)
"""The primitives without a gradient, because their result is not differentiable, or torch's is not; and single arguments without
one: positions, masks, results of another formula."""


def missing_formulas() -> set[str]:
    found = set()
    for primitive in known():
        if not getattr(primitive.kernel, "__module__", "numpy").startswith("mini_dl."):
            continue
        given = {primitive.params[number] for number, _, _ in primitive.formulas}
        arrays = [name for name, p in primitive.signature.parameters.items() if "Array" in str(p.annotation)]
        found |= {f"{primitive.name}.{name}" if given else primitive.name for name in arrays if name not in given}
    return found


def test_no_formula_is_missing() -> None:
    missing = sorted(missing_formulas() - WITHOUT)
    assert not missing, f"calls would be without these gradients: give each a formula, or name it in WITHOUT: {missing}"
    assert not WITHOUT - missing_formulas(), "these have formulas now; take them out of WITHOUT"


def test_a_missing_formula_is_found() -> None:
    @binary(input=lambda grad, other: grad * other)
    def scaled(input: Array, other: Array) -> Array:
        return input * other

    scaled.op.kernel.__module__ = "mini_dl.ops.arithmetic"  # type: ignore[attr-defined]
    assert missing_formulas() - WITHOUT == {"scaled.other"}
    scaled.op.kernel.__module__ = __name__  # type: ignore[attr-defined]
