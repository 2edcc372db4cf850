"""Settings and types that are rejected on one side of a boundary, and accepted on the other."""

from __future__ import annotations

import pytest

from parity_tests.twin import outcome, twin


@twin
@pytest.mark.parametrize("name", ["median", "nanmedian", "kthvalue", "mode", "sort", "topk"])
@pytest.mark.parametrize("values", [True, 1 + 2j, [True, False], [1j, 2]])
def test_what_has_an_order(torch, rng, name, values):
    x = torch.tensor(values)
    arguments = (1,) if name in ("kthvalue", "topk") else (0,)
    return outcome(lambda: [part.shape for part in getattr(torch, name)(x, *arguments)])


@twin
@pytest.mark.parametrize(
    "etas", [(0.5, 1.2), (1.0, 1.2), (1.5, 1.7), (0.5, 1.0), (0.5, 0.9), (0.0, 1.2), (0.5, 1.5), (-0.5, 3.0)]
)
def test_factors_of_rprop(torch, rng, etas):
    return outcome(lambda: torch.optim.Rprop([rng(2, grad=True)], etas=etas).param_groups[0]["etas"])


@twin
@pytest.mark.parametrize("factor", [-0.1, 0.0, 0.5, 1.0, 1.1])
@pytest.mark.parametrize("name", ["ConstantLR", "LinearLR start", "LinearLR end"])
def test_factors_of_schedules(torch, rng, name, factor):
    kind, _, end = name.partition(" ")
    optimizer = torch.optim.SGD([rng(2, grad=True)], lr=1.0)
    keyword = f"{end}_factor".lstrip("_")
    return outcome(lambda: getattr(torch.optim.lr_scheduler, kind)(optimizer, **{keyword: factor}).get_last_lr())


@twin
@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "alpha_dropout"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_dimensions_of_dropout(torch, rng, name, shape):
    torch.manual_seed(0)
    return outcome(lambda: getattr(torch.nn.functional, name)(rng(*shape), 0.5, True).shape)


@twin
@pytest.mark.parametrize("number", [200, -200, 2**62, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
def test_numbers_that_are_written_by_an_index(torch, rng, number):
    x = torch.zeros(3, dtype=torch.int64)

    def write():
        x[0] = number
        x[x == 0] = number
        return x

    return outcome(write)


@twin
@pytest.mark.parametrize("out_dim", [0, 1, 2, None])
def test_where_a_function_with_a_rule_of_its_own_puts_the_batch(torch, rng, out_dim):
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return 2 * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def vmap(info, in_dims, x):
            x = 2 * x.movedim(in_dims[0], 0)
            return (x[0], None) if out_dim is None else (x.movedim(0, out_dim), out_dim)

    return torch.vmap(Scaled.apply)(rng(2, 3, 4))
