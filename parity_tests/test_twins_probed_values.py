"""Values, types and memory at the edges of operations whose tables of samples stay away from them, under both libraries."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, raised, twin

NAN, INF = float("nan"), float("inf")
PAIRS = ([0.0, 1.0, -0.5, 0.5, NAN, 2.0, 0.3, -1.0], [0.0, 0.0, 0.0, 1.0, 1.0, 0.3, NAN, 0.0])


def second_order(torch, rng, loss, x, y):
    """A result and its derivatives of both orders."""
    x, y = (rng.tensor(values, "float64", grad=True) for values in (x, y))
    value = loss(x, y)
    weights = torch.arange(1.0, 1.0 + value.numel(), dtype=torch.float64).cos()
    first = torch.autograd.grad(value, (x, y), weights, create_graph=True, allow_unused=True)
    return value, first, torch.autograd.grad(first[0], (x, y), weights, allow_unused=True)


@pytest.mark.parametrize(
    "name, options", [("smooth_l1_loss", {}), ("smooth_l1_loss", {"beta": 0.5}), ("huber_loss", {"delta": 0.5})]
)
@twin
def test_the_second_derivative_of_a_robust_loss_is_0_at_nan(torch, rng, name, options):
    loss = getattr(torch.nn.functional, name)
    return second_order(torch, rng, lambda x, y: loss(x, y, reduction="none", **options), *PAIRS)


@twin
def test_the_second_derivative_of_the_binary_cross_entropy_at_0_and_1(torch, rng):
    probabilities, targets = [0.0, 0.0, 1.0, 1.0, 0.5, 0.9], [0.0, 1.0, 0.0, 1.0, 0.3, 0.5]
    loss = torch.nn.functional.binary_cross_entropy
    _, _, second = second_order(torch, rng, lambda x, y: loss(x, y, reduction="none"), probabilities, targets)
    return [g.float() for g in second]  # torch's kernel rounds 1e-12 to single precision


@pytest.mark.parametrize("name", ["elu", "selu", "celu"])
@twin
def test_the_second_derivative_of_an_exponential_unit_at_0(torch, rng, name):
    return second_order(torch, rng, lambda x, y: getattr(torch.nn.functional, name)(x) + y, [0.0, -0.0, 1.0, -1.0], [0.0] * 4)


@twin
def test_the_gradient_of_the_approximate_gelu_of_large_numbers(torch, rng):
    x = rng.tensor([1e12, 1e13, 1e18, -1e13, -1e18], "float32", grad=True)
    torch.nn.functional.gelu(x, approximate="tanh").sum().backward()
    return x.grad


@pytest.mark.parametrize("rows", [1, 20000])
@pytest.mark.parametrize("size", [1e20, 1e-30, 1.0])
@twin
def test_deviations_whose_squares_are_out_of_range(torch, rng, size, rows):
    x = rng.tensor([[size, 2 * size, 4 * size]] * rows, "float32", grad=True)
    y = x.std(1)
    y.sum().backward()
    scaled = [v / size for v in (y, x.std(1, correction=0), torch.std_mean(x, 1)[0])]
    return scaled, x.grad, x.var(1) if size == 1 else None


@pytest.mark.parametrize("order", [2, 3, 0.5, -1, 1, INF, -INF])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@twin
def test_the_norm_of_one_number_is_its_size(torch, rng, order, dtype):
    x = rng.tensor([[1e30], [-1e-30], [0.0], [2.0]], dtype)
    norm = torch.linalg.vector_norm
    return norm(x, order, 1), norm(x, order, 1, keepdim=True), norm(x[0], order), norm(x[1, 0], order)


TYPES = ("float16", "float32", "float64", "complex64", "int64", "bool")


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("first", TYPES)
@pytest.mark.parametrize("second", ["float32", "complex128", "int32"])
@twin
def test_an_outer_product_is_added_in_the_promoted_type(torch, rng, kind, first, second):
    x = torch.ones(2, 2).to(getattr(torch, kind))
    a, b = torch.tensor([1, 2]).to(getattr(torch, first)), torch.tensor([3, 4]).to(getattr(torch, second))
    return outcome(lambda: torch.addr(x, a, b)), outcome(lambda: x.clone().addr_(a, b))


@pytest.mark.parametrize("mask", [[True, False], [False, False]])
@pytest.mark.parametrize("kind", ["float32", "int64", "complex64", "bool"])
@twin
def test_a_mask_does_not_lose_an_imaginary_part(torch, rng, mask, kind):
    def write(value, index):
        x = torch.zeros(2, dtype=getattr(torch, kind))
        x[index] = value
        return x

    values = (torch.tensor(1j), torch.tensor([2 + 1j]), torch.tensor(3 + 0j))
    return [outcome(lambda v=v, i=i: write(v, i)) for v in values for i in (mask, torch.tensor(mask), True)]


BOUNDS = [
    "torch.tensor(2.5)",
    "torch.tensor(2.5, dtype=torch.float64)",
    "torch.tensor(2)",
    "torch.tensor(2.5, requires_grad=True)",
]


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("kind", ["uint8", "int64", "float32", "float16", "bool"])
@twin
def test_a_0d_bound_next_to_a_number_is_a_number(torch, rng, bound, kind):
    x, bound = torch.tensor([1, 5]).to(getattr(torch, kind)), eval(bound, {"torch": torch})
    calls = [lambda: torch.clamp(x, bound, 3), lambda: torch.clip(x, 0, bound), lambda: x.clone().clamp_(bound, 3.5)]
    return [outcome(call) for call in calls]


@pytest.mark.parametrize("lengths", [[3, 1], [4, 2], [0, 2], [-1, 1], [2.5, 1.0]])
@pytest.mark.parametrize("batch_first", [True, False])
@twin
def test_sequences_without_padding_have_memory_of_their_own(torch, rng, lengths, batch_first):
    x = rng(2, 3, 2) if batch_first else rng(3, 2, 2)
    given = x.clone()
    parts = torch.nn.utils.rnn.unpad_sequence(given, torch.tensor(lengths), batch_first)
    shown = [(part.clone(), part.stride() if part.numel() else None) for part in parts]
    for part in parts:
        part.zero_()
    return shown, given.sum() == x.sum()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (2, 3, 4, 5)])
@twin
def test_resized_bytes_lie_in_order(torch, rng, mode, shape):
    x = rng(*shape, dtype="uint8")
    return [torch.nn.functional.interpolate(x, size=7, mode=mode, antialias=a).stride() for a in (False, True)]


@twin
def test_triangles_lie_in_order(torch, rng):
    x = rng(4, 3, 2).permute(2, 1, 0)
    return x.tril().stride(), x.triu(1).stride(), rng(2, 3).t().tril().stride(), rng(2, 1).expand(2, 3).triu().stride()


@pytest.mark.parametrize("dims", [(0, 5), (5, 0), (0, 2), (-3, 0), (0, -2), (1, 1), (-2, 1), (1, 0)])
@twin
def test_the_dimensions_of_a_rotation(torch, rng, dims):
    return outcome(lambda: torch.rot90(rng(2, 3), 1, dims)), outcome(lambda: torch.rot90(rng(2, 3), 2, dims))


@twin
def test_negative_repeats_of_nothing(torch, rng):
    x = torch.zeros(0, 3)
    return raised(lambda: x.repeat_interleave(-1)), raised(lambda: x.repeat_interleave(-1, 0)), x.repeat_interleave(2, 0).shape


@pytest.mark.parametrize("data", ["np.float32(2)", "np.bool_(True)", "np.complex64(1)", "np.float64(2)", "2**63", "2**62", "2.0"])
@twin
def test_what_a_legacy_constructor_refuses(torch, rng, data):
    import numpy as np

    return [raised(lambda c=c: c(eval(data, {"np": np}))) for c in (torch.Tensor, torch.LongTensor)]


@twin
def test_counts_with_complex_weights_are_float64(torch, rng):
    return [torch.bincount(torch.tensor([0, 2]), torch.ones(2, dtype=d)) for d in (torch.complex64, torch.float32, torch.half)]


@pytest.mark.parametrize("equation", ["...->...", "ij->ij", "ij", "ij->ji"])
@twin
def test_an_einsum_that_changes_nothing_is_a_view(torch, rng, equation):
    x = rng(2, 2, grad=True)
    y = torch.einsum(equation, x)
    return y is x, y._is_view(), y.is_leaf, type(y.grad_fn).__name__


@pytest.mark.parametrize("kind", ["int64", "bool", "float64"])
@twin
def test_a_mean_without_nan_is_of_floating_point(torch, rng, kind):
    return outcome(lambda: torch.nanmean(rng(3), dtype=getattr(torch, kind)))


@pytest.mark.parametrize("values", [[1e-45, 2e-45], [1.0, INF], [NAN, 1.0], [3.0, 3.0], []])
@pytest.mark.parametrize("bounds", [(), (-2, 3), (-1e300, 1e300), (NAN, 2)])
@twin
def test_histograms_of_numbers_at_the_bounds(torch, rng, values, bounds):
    return outcome(lambda: torch.histc(rng.tensor(values, "float32"), 4, *bounds))
