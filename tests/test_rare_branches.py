"""Ways through the code that are seldom taken, and texts that are put together."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl._families import FAMILIES, with_family
from mini_dl._signatures import public_text
from mini_dl._spaces import of_spaces
from mini_dl.autograd import forward_ad
from mini_dl.autograd.primitive import real_number_of
from mini_dl.kernels import shared
from mini_dl.kernels.blocks import split


def test_the_texts_of_one_two_and_three_dimensions() -> None:
    texts = of_spaces()
    assert texts["batch norm 1d"]["Shapes"] == "(N, C) or (N, C, L) -> the same."
    assert texts["batch norm 2d"]["Shapes"] == "(N, C, H, W) -> the same."
    assert texts["batch norm 3d"]["Shapes"] == "(N, C, D, H, W) -> the same."
    pooled = [texts[f"power pooling {n}d"]["Shapes"].partition(", also")[0] for n in (1, 2, 3)]
    assert pooled == ["(N, C, L) -> (N, C, L')", "(N, C, H, W) -> (N, C, H', W')", "(N, C, D, H, W) -> (N, C, D', H', W')"]
    padded = [texts[f"padding {n}d"]["Shapes"].partition("with ")[2] for n in (1, 2, 3)]
    assert padded == [
        "L' = L + before + after.", "H' = H + before + after (W' likewise).", "D' = D + before + after (H' and W' likewise).",
    ]  # fmt: skip
    kernels = [texts[f"gradient of a convolution {n}d"]["Shapes"].partition("C / groups, ")[2] for n in (1, 2, 3)]
    assert kernels == ["K) of a weight.", "K1, K2) of a weight.", "K1, K2, K3) of a weight."]
    assert not [text for parts in texts.values() for text in parts.values() if "{" in text or "}" in text]


def test_what_a_docstring_says_itself_is_not_told_again() -> None:
    family = FAMILIES["max pooling 2d"]
    whole = "Text.\n\n    " + "\n    ".join(f"{part}: of its own" for part in family) + "\n    "
    assert with_family(whole, "max pooling 2d") == whole
    named = with_family("Text.\n\n    Family: max pooling 2d\n    Shapes: of its own\n    ")
    assert named is not None and "Family" not in named and named.count("Shapes: ") == 1 and family["Source"] in named
    nothing = with_family(
        "Text.\n\n    Family: max pooling 2d\n    " + "\n    ".join(f"{part}: own" for part in family) + "\n    "
    )
    assert nothing is not None and "Family" not in nothing


@pytest.mark.parametrize("name", ["add_", "relu_", "clamp_", "masked_fill_"])
def test_a_method_in_place_says_so_first(name: str) -> None:
    doc = getattr(torch.Tensor, name).__doc__
    assert doc.startswith(f"`{name[:-1]}`, in place: the result is written into the tensor, which is returned.")


def test_an_unknown_keyword_of_a_function_or_method_is_answered_with_the_near_one() -> None:
    x = torch.ones(2, 2)
    for call in (lambda: torch.sum(x, dims=1), lambda: x.sum(dims=1)):  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'dims'. Did you mean: 'dim'\?\n  sum\("):
            call()


def test_conversions_of_packed_sequences_are_documented() -> None:
    docs = [getattr(nn.utils.rnn.PackedSequence, name).__doc__ for name in ("double", "half", "int")]
    assert docs == [f"The same, converted to {name}." for name in ("float64", "float16", "int32")]


@pytest.mark.parametrize("index", [5, -1])
def test_an_index_that_a_table_lacks_is_located(index: int) -> None:
    net = nn.Sequential(nn.Embedding(3, 2))
    with pytest.raises(IndexError) as error:
        net(torch.tensor([0, index]))
    notes = "\n".join([str(error.value), *getattr(error.value, "__notes__", [])])
    assert f"expected indices from 0 to 2, got {index}" in notes


def test_shared_memory_that_there_is_not_is_refused_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = list[int]()

    def full(descriptor: int, size: int) -> None:
        closed.append(descriptor)
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(shared.os, "ftruncate", full)
    with pytest.raises(OSError, match="no space left"):
        shared.new_shared(1000)
    with pytest.raises(OSError, match="Bad file descriptor"):
        shared.os.fstat(closed[0])


@pytest.mark.parametrize("shape", [(30000,), (3, 20000), (20000, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_beside_variances_are_exact_to_the_last_rounding(shape: tuple[int, ...], dtype: Any) -> None:
    values = (np.random.default_rng(0).standard_normal(shape) + 1000).astype(dtype)
    dims = None if len(shape) == 1 else shape.index(max(shape))
    exact = values.astype(np.longdouble).mean(dims)
    for name in ("var_mean", "std_mean"):
        mean = getattr(torch, name)(torch.from_numpy(values), dims)[1].numpy()
        assert np.abs((mean - exact) / np.spacing(mean)).max() <= 0.502 + 0.1 * (dtype is np.float64)


@pytest.mark.parametrize("n", [7, 8, 9])
def test_chebyshev_polynomials_of_higher_degrees_are_those_of_angles(n: int) -> None:
    x = np.linspace(-0.99, 0.99, 101)
    np.testing.assert_array_equal(torch.special.chebyshev_polynomial_t(torch.from_numpy(x), n).numpy(), np.cos(n * np.arccos(x)))


@pytest.mark.parametrize("count", [1, 5, 10, 11, 12])
@pytest.mark.parametrize("number", [1, 3, 4, 20])
def test_a_range_is_split_into_no_more_parts_than_asked_for(count: int, number: int) -> None:
    parts = split(count, number)
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(count)) and len(parts) <= number


def test_old_names_of_initializers_are_said_without_their_last_sign() -> None:
    with pytest.warns(FutureWarning, match="`nn.init.uniform` is now deprecated in favor of `nn.init.uniform_`."):
        nn.init.uniform(torch.ones(2))  # type: ignore[attr-defined]


def test_annotations_are_said_with_none_last_and_nothing_twice() -> None:
    def function() -> None: ...

    said = [
        public_text(text, function) for text in ("None | Array", "Array | Tensor | None", "int", "Sequence[int] | None | int")
    ]
    assert said == ["Tensor | None", "Tensor | None", "int", "Sequence[int] | int | None"]


def test_a_block_of_forward_mode_that_was_left_by_hand_ends_silently_and_does_not_nest() -> None:
    with forward_ad.dual_level():
        forward_ad.exit_dual_level()
    with forward_ad.dual_level():
        with pytest.raises(RuntimeError, match="Nested forward mode"), forward_ad.dual_level():
            pass
        dual = forward_ad.make_dual(torch.ones(2), torch.ones(2))
        assert forward_ad.unpack_dual(dual * 3).tangent.tolist() == [3, 3]  # type: ignore[union-attr]


def test_a_real_argument_is_taken_from_a_complex_tensor_without_imaginary_part() -> None:
    found = real_number_of("f", "value", torch.tensor(2 + 0j)), real_number_of("f", "value", torch.tensor(3))
    assert found == (2.0, 3) and [type(number) for number in found] == [float, int]
    with pytest.raises(RuntimeError):
        real_number_of("f", "value", torch.tensor(2 + 1j))


def test_flags_of_a_library_have_defaults_within_a_context() -> None:
    with torch.backends.mkldnn.flags():  # type: ignore[attr-defined]
        assert torch.backends.mkldnn.allow_tf32 is True  # type: ignore[attr-defined]


def test_a_schema_that_cannot_be_read_says_which_argument() -> None:
    library = torch.library.Library("seldom_taken", "FRAGMENT")
    with pytest.raises(RuntimeError, match="cannot read the argument '3'"):
        library.define("f(Tensor x, 3) -> Tensor")


def test_whole_numbers_have_no_loss_in_chunks() -> None:
    x, weight = torch.ones(2, 3, dtype=torch.int64), torch.ones(4, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="acc_dtype must be a floating point type"):
        nn.functional.linear_cross_entropy(x, weight, torch.tensor([0, 1]), options=object())  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
def test_only_modules_in_evaluation_are_frozen() -> None:
    module = torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    with pytest.raises(RuntimeError, match="eval mode"):
        torch.jit.freeze(module)
    x = torch.ones(3, 2)
    assert torch.equal(torch.jit.freeze(module.eval())(x), module(x))


def test_flex_attention_gives_the_greatest_score_of_each_query() -> None:
    from mini_dl.nn.attention.flex_attention import AuxRequest, flex_attention

    query, key = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4)
    _, found = flex_attention(query, key, key, return_aux=AuxRequest(max_scores=True))
    assert found.lse is None
    torch.testing.assert_close(found.max_scores, (query @ key.transpose(-2, -1) / 2).amax(-1))


@pytest.mark.parametrize("dims", [([0],), ([0], [0], [0])])
def test_dims_of_a_contraction_are_two_lists(dims: Any) -> None:
    with pytest.raises(ValueError, match="tensordot expects dims to be an int or two lists"):
        torch.tensordot(torch.ones(2), torch.ones(2), dims)
