"""What users try: numbers for tensors, modes that are not bools, results of another type, norms of
vectors, hooks that return too much.
"""

from __future__ import annotations

import copy
import io
import itertools

import numpy as np
import pytest

from parity_tests.twin import either, message, mistake, outcome, raised, twin


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "div", "true_divide", "floor_divide", "multiply", "rsub", "remainder", "pow"]
)
@twin
def test_two_numbers_are_combined_where_torch_takes_them(torch, rng, name):
    pairs = itertools.product([1, 2.5, True, 1j, -7], [2, 0.5, False, 3j, None, "a", [1]])
    return [outcome(lambda a=a, b=b: getattr(torch, name)(a, b)) for a, b in pairs]


@twin
def test_two_numbers_with_further_arguments(torch, rng):
    rounded = [torch.div(7, -2, rounding_mode=mode) for mode in ("floor", "trunc", None)]
    return rounded, torch.add(1, 2, alpha=3), torch.sub(1.5, 2, alpha=2), torch.add(1, 2, out=torch.zeros(()))


@pytest.mark.parametrize("value", ["a", 1, None, []], ids=repr)
@twin
def test_a_mode_is_a_bool(torch, rng, value):
    setters = torch.set_grad_enabled, torch.set_anomaly_enabled, torch.autograd.set_detect_anomaly
    return [message(lambda set=set: set(value)) for set in setters], torch.is_grad_enabled(), torch.is_anomaly_enabled()


SIZES = [[1, True], ["1"], [1.0], [None], "ab", (2, 3), [2**70], {1: 2}]


@pytest.mark.parametrize("sizes", SIZES, ids=repr)
@twin
def test_a_size_holds_ints(torch, rng, sizes):
    made = outcome(lambda: torch.Size(sizes))
    return made, [type(n).__name__ for n in made], message(lambda: torch.Size(sizes))


@twin
def test_a_size_of_tensors_and_a_sum_of_sizes(torch, rng):
    made = torch.Size(torch.tensor([2, 3])), torch.Size([torch.tensor(4)]), torch.Size([1]) + (2,), torch.Size([1, 2, 3])[::2]
    return made, [type(n).__name__ for size in made for n in size], message(lambda: torch.Size([1]) + ("a",))


FACTORIES = {
    "ones": "torch.ones(2, out=out)", "full": "torch.full((2,), 3.0, out=out)", "rand": "torch.rand(2, out=out)",
    "arange": "torch.arange(2, out=out)", "linspace": "torch.linspace(0, 1, 2, out=out)", "eye": "torch.eye(2, out=out)",
    "normal": "torch.normal(0.0, 1.0, (2,), out=out)", "float64": "torch.normal(0.0, 1.0, (2,), dtype=torch.float64, out=out)",
    "multinomial": "torch.multinomial(torch.ones(2), 2, out=out.long())", "bernoulli": "torch.bernoulli(torch.ones(2), out=out)",
}  # fmt: skip


@pytest.mark.parametrize("call", FACTORIES)
@pytest.mark.parametrize("grad", [False, True])
@either
def test_a_function_that_creates_warns_of_lost_elements_as_torch_does(torch, rng, call, grad):
    return eval(FACTORIES[call], {"torch": torch, "out": torch.ones(1, requires_grad=grad)})


SAME_TYPE = {
    "round": "torch.round(x, out=out)", "neg": "torch.neg(x, out=out)", "sign": "torch.sign(x, out=out)",
    "trunc": "torch.trunc(x, out=out)", "nan_to_num": "torch.nan_to_num(x, out=out)", "tril": "torch.tril(x, out=out)",
    "softmax": "torch.softmax(x, 0, out=out)", "norm": "torch.norm(x, 2, 0, out=out)", "take": "torch.take(x, i, out=out)",
    "linalg.norm": "torch.linalg.norm(x, out=out)", "quantile": "torch.quantile(x, 0.5, 0, out=out)",
    "nonzero": "torch.nonzero(x, out=out)", "searchsorted": "torch.searchsorted(x, x, out=out)",
    "isneginf": "torch.isneginf(x, out=out)", "signbit": "torch.signbit(x, out=out)",
    "renorm": "torch.renorm(x, 1, 0, 1, out=out)",
    "tensordot": "torch.tensordot(x, x, 1, out=out)", "mv": "torch.mv(x, x[0], out=out)", "dot": "torch.dot(x[0], x[0], out=out)",
    "cholesky": "torch.linalg.cholesky(x @ x.T, out=out)", "irfft": "torch.fft.irfft(x + 0j, out=out)",
    "scatter": "torch.scatter(x, 0, i[None, :2], 1.0, out=out)", "histc": "torch.histc(x, 3, out=out)",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["float32", "float64", "complex64", "int64", "bool"])
@pytest.mark.parametrize("call", SAME_TYPE)
@either
def test_out_of_another_type_is_refused_where_torch_refuses_it(torch, rng, call, kind):
    names = {"torch": torch, "x": rng(2, 2), "i": torch.tensor([0, 1]), "out": torch.empty(0, dtype=getattr(torch, kind))}
    return eval(SAME_TYPE[call], names)


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod"])
@twin
def test_sums_and_products_are_computed_in_the_type_of_out(torch, rng, name, kind):
    function, out = getattr(torch, name), torch.empty(0, dtype=getattr(torch, kind))
    values = torch.tensor([[0.5, 1.7], [0.6, 2.0]]), torch.tensor([[1, 300], [2, 3]])
    made = [function(x, 0, out=out).clone() for x in values] if kind != "bool" or not name.startswith("cum") else []
    return made, raised(lambda: function(values[0], 0, dtype=torch.float16, out=out))


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("dim", [0, -1, -2, 1, 5, None])
@pytest.mark.parametrize("name", ["weight", "bias"])
@either
def test_weight_norm_of_vectors_and_of_any_dimension(torch, rng, name, dim, old):
    layer, utils = torch.nn.Linear(3, 2), torch.nn.utils
    layer = (utils.weight_norm if old else utils.parametrizations.weight_norm)(layer, name, dim)
    result = layer(rng(4, 3))
    result.sum().backward()
    return list(layer.named_parameters()), result, [p.grad for p in layer.parameters()]


@twin
def test_spectral_norm_of_a_vector(torch, rng):
    layer = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 2), "bias")
    return layer(rng(4, 3)), dict(layer.state_dict())


RETURNED = {
    "the gradient": lambda grads: grads[0], "a list": list, "a number": lambda grads: 3, "nothing in it": lambda grads: (),
    "too many": lambda grads: (*grads, *grads), "None": lambda grads: (None,), "a number in it": lambda grads: (3,),
}  # fmt: skip


@pytest.mark.parametrize("returned", RETURNED)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("grad", [True, False])
@either
def test_the_number_of_gradients_that_a_hook_of_a_module_returns(torch, rng, returned, rows, grad):
    def run(pre):
        layer, x = torch.nn.Linear(2, 2), rng(rows, 2, grad=grad)
        if pre:
            layer.register_full_backward_pre_hook(lambda module, after: RETURNED[returned](after))
        else:
            layer.register_full_backward_hook(lambda module, before, after: RETURNED[returned](before))
        layer(x).sum().backward()
        return x.grad, layer.weight.grad

    return outcome(lambda: run(True)), outcome(lambda: run(False))


@twin
def test_a_tensor_without_dimensions_takes_no_array_as_index(torch, rng):
    indices = np.array([0]), np.array([True, False]), np.array(0), np.int64(0), [0], ..., None
    return [outcome(lambda index=index: torch.tensor(3.0)[index]) for index in indices]


@twin
def test_named_results_are_made_of_sequences(torch, rng):
    made = [outcome(lambda values=values: torch.return_types.max(values)) for values in ((1, 2), [3, 4], (1,), (1, 2, 3), 3)]
    return made, made[0].indices, torch.return_types.svd((1, 2, 3)).V, copy.deepcopy(torch.ones(2, 2).max(0))


@pytest.mark.parametrize("sizes", [(-1,), (2, -1)])
@mistake
def test_a_tensor_cannot_have_negative_sizes(torch, rng, sizes):
    return [raised(lambda: torch.LongTensor(*sizes)), raised(lambda: torch.ones(2).new(*sizes)), torch.Tensor(*sizes)]


@twin
def test_what_a_type_is(torch, rng):
    kinds = 3, float, int, [1], torch.device("cpu"), torch.FloatTensor, torch.int8, torch.Tensor, "torch.Foo"
    return [outcome(lambda kind=kind: torch.ones(2).type(kind)) for kind in kinds]


@pytest.mark.parametrize("options", [{"foo": 1}, {"errors": "strict"}, {"encoding": "ascii"}, {"foo": 1, "weights_only": False}])
@either
def test_load_refuses_keywords_it_does_not_know(torch, rng, options):
    file = io.BytesIO()
    torch.save(torch.ones(2), file)
    file.seek(0)
    return torch.load(file, **options)


@pytest.mark.parametrize("reduction", ["none", "mean"])
@twin
def test_the_type_of_a_margin_loss_is_that_of_its_input(torch, rng, reduction):
    x, y, function = rng(3, grad=True), torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64), torch.nn.functional.soft_margin_loss
    loss = function(x, y, reduction=reduction)
    loss.sum().backward()
    weighted = message(
        lambda: torch.nn.functional.multi_margin_loss(rng(2, 3), torch.tensor([0, 1]), weight=torch.ones(3, dtype=torch.float64))
    )
    return loss, x.grad, function(x.detach().double(), y.float()), weighted


@pytest.mark.parametrize("rank", [3, 4])
@mistake
def test_attention_refuses_a_probability_above_one(torch, rng, rank):
    x = rng(*(1,) * (rank - 2), 2, 3)
    return torch.nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=2.0)


@pytest.mark.parametrize("assign", [True, False])
@twin
def test_loading_into_a_meta_module_warns(torch, rng, assign):
    layer = torch.nn.Linear(2, 2, device="meta")
    layer.load_state_dict({"weight": rng(2, 2), "bias": rng(2)}, assign=assign)
    return layer.weight.device.type


@pytest.mark.parametrize("maximize", [True, False])
@twin
def test_rprop_leaves_a_parameter_whose_gradient_is_nan(torch, rng, maximize):
    x = torch.ones(4, requires_grad=True)
    optimizer = torch.optim.Rprop([x], maximize=maximize)
    for sign in (1, 1, -1, 1):
        x.grad = torch.tensor([1.0, -1.0, 0.0, float("nan")]) * sign
        optimizer.step()
    return x, optimizer.state_dict()["state"][0]["step_size"]


@mistake
def test_lbfgs_refuses_a_second_group_when_it_steps(torch, rng):
    x, y = torch.ones(1, requires_grad=True), torch.ones(2, requires_grad=True)
    optimizer = torch.optim.LBFGS([x])
    optimizer.add_param_group({"params": [y]})
    optimizer.step(lambda: x.sum())
