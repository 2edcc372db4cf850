"""`vmap` over attention with masks of every shape, and over functions that draw: where the outcome is certain, it is the same."""

from __future__ import annotations

import warnings

import pytest

from parity_tests.twin import outcome, twin

SLOW = "There is a performance drop"
"""The libraries loop over a batch in different functions, which is what this warning says."""
N, HEADS, L, S, E = 2, 3, 4, 5, 6
MASKS = {"none": None, "(L, S)": (L, S), "(1, L, S)": (1, L, S), "(H, L, S)": (HEADS, L, S), "(H, 1, S)": (HEADS, 1, S)}


@twin
@pytest.mark.parametrize("batched", [(0, None, None, None), (0, 0, 0, None), (0, 0, 0, 0), (None, None, None, 0)])
@pytest.mark.parametrize("kind", ["bool", "float32"])
@pytest.mark.parametrize("shape", MASKS)
def test_attention_with_masks(torch, rng, shape, kind, batched):
    def made(at, *sizes, dtype="float32"):
        return rng(*((N,) if batched[at] == 0 else ()), *sizes, dtype=dtype)

    query, key, value = made(0, HEADS, L, E), made(1, HEADS, S, E), made(2, HEADS, S, E)
    mask = None if MASKS[shape] is None else made(3, *MASKS[shape], dtype=kind)
    dims = batched if mask is not None else (*batched[:3], None)
    if mask is not None and kind == "bool":
        mask[..., 0] = True  # every query sees something

    def attend(q, k, v, m):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=m)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", SLOW)
        return outcome(lambda: torch.vmap(attend, in_dims=dims)(query, key, value, mask))


CERTAIN = {
    "bernoulli": lambda t, x: t.bernoulli(x),
    "bernoulli_": lambda t, x: x.clone().bernoulli_(1.0),
    "multinomial": lambda t, x: t.multinomial(x, 3, replacement=True),
    "multinomial of one": lambda t, x: t.multinomial(x, 1),
    "normal": lambda t, x: t.normal(x, t.zeros_like(x)),
    "normal_": lambda t, x: x.clone().normal_(2.0, 0.0),
    "poisson": lambda t, x: t.poisson(0 * x),
    "uniform_": lambda t, x: x.clone().uniform_(3.0, 3.0),
    "randint_like": lambda t, x: t.randint_like(x, 3, 4),
    "randint": lambda t, x: t.randint(3, 4, (2,)) + x[:1].long(),
    "random_": lambda t, x: x.clone().random_(3, 4),
    "randperm": lambda t, x: t.randperm(1) + x[:1].long(),
    "randperm, sorted": lambda t, x: t.randperm(5).sort()[0] + x[:1].long(),
    "rand": lambda t, x: (t.rand(40) >= 0).float() + (t.rand(40) < 1).float() + x[:1],
    "rand_like": lambda t, x: (t.rand_like(x) >= 0) & (t.rand_like(x) < 1),
    "exponential_": lambda t, x: x.clone().exponential_() >= 0,
    "geometric_": lambda t, x: x.clone().geometric_(1.0),
    "dropout of all": lambda t, x: t.nn.functional.dropout(x, 1.0),
    "dropout of none": lambda t, x: t.nn.functional.dropout(x, 0.0),
    "alpha_dropout of none": lambda t, x: t.nn.functional.alpha_dropout(x, 0.0, True),
    "feature_dropout of none": lambda t, x: t.nn.functional.dropout1d(x[None], 0.0),
    "rrelu of one slope": lambda t, x: t.nn.functional.rrelu(x - 2, 0.5, 0.5, True),
    "gumbel_softmax": lambda t, x: t.nn.functional.gumbel_softmax(x * 1e6 - 5e5, hard=True).sum(-1),
    "binomial": lambda t, x: t.binomial(3 * t.ones_like(x), x),
}


@twin
@pytest.mark.parametrize("randomness", ["error", "same", "different"])
@pytest.mark.parametrize("name", CERTAIN)
def test_draws_whose_outcome_is_certain(torch, rng, name, randomness):
    x = torch.tensor([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", SLOW)
        return outcome(lambda: torch.vmap(lambda row: CERTAIN[name](torch, row), randomness=randomness)(x))


@twin
@pytest.mark.parametrize("name", [name for name in CERTAIN if name != "bernoulli_"])  # torch takes that for unbatched
def test_draws_in_nested_batches(torch, rng, name):
    x = torch.tensor([[[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]], [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]])
    inner = torch.vmap(lambda row: CERTAIN[name](torch, row), randomness="different")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", SLOW)
        return outcome(lambda: torch.vmap(inner, randomness="different")(x))
