"""Public names that torch's tables do not have, each called once under both libraries; and a check that every name has a test."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

import mini_dl
from mini_dl._surface import NAMESPACES, PLACES
from parity_tests.adapter import op_db
from parity_tests.twin import outcome, twin

IN_PLACE = (
    "selu_ celu_ negative_ fix_ arcsin_ arccos_ arctan_ arcsinh_ arccosh_ arctanh_ absolute_ subtract_ multiply_ divide_ clip_ "
    "not_equal_ less_ less_equal_ greater_ greater_equal_ arctan2_ threshold_ rrelu_ leaky_relu_ hardtanh_ dropout_ "
    "alpha_dropout_ feature_dropout_ feature_alpha_dropout_ swapaxes_ fill_diagonal_ apply_ map_"
).split()


def others(name: str, other: Any) -> tuple[Any, ...]:
    """The arguments of a method besides the tensor that it writes."""
    if re.fullmatch(r"(subtract|multiply|divide|not_equal|less|less_equal|greater|greater_equal|arctan2)_", name):
        return (other,)
    if "dropout" in name:
        return (0.0, False)
    given = {"clip_": (-0.1, 0.1), "threshold_": (0.1, 2.0), "rrelu_": (0.2, 0.2, False), "swapaxes_": (0, 1)}
    given |= {"fill_diagonal_": (3.0,), "apply_": (lambda x: x + 1,), "map_": (other, lambda x, y: x - y)}
    return given.get(name, ())


@twin
def test_names_in_place(torch, rng):
    found = []
    for name in IN_PLACE:
        for where in (torch, torch.Tensor, torch.nn.functional):
            if hasattr(where, name):
                x, other = rng(3, 3) / 3, rng(3, 3)
                result = outcome(lambda w=where, n=name, x=x, o=other: getattr(w, n)(x, *others(n, o)))
                found.append((name, result, x))
    return found


@twin
def test_facts_about_a_tensor(torch, rng):
    x, y = rng(2, 3), rng(3)
    z = x + 0j
    facts = [getattr(x, n) for n in "is_cpu is_mps is_xpu is_meta is_sparse is_sparse_csr is_mkldnn is_nested".split()]
    facts += [x.nelement(), x.ndimension(), x.get_device(), torch.get_device(x), x.is_same_size(y), torch.is_same_size(x, x)]
    facts += [z.is_conj(), torch.is_conj(x), z.imag.is_neg(), torch.is_neg(x), y[0].is_nonzero()]
    facts += [x.is_set_to(x), x.is_set_to(x.view(6)), x.type_as(z), x.new_tensor([1, 2]), outcome(lambda: torch.is_nonzero(x))]
    return facts, x.share_memory_() is x, rng(2).is_shared(), str(torch.get_default_device())


@twin
def test_copies_of_views(torch, rng):
    x, pairs = rng(4, 2, grad=True), rng(3, dtype="complex64")
    found = [torch.select_copy(x, 0, 1), *torch.split_copy(x, 3), torch.detach_copy(x.detach()), torch.slice_copy(x, 0, 1, 3)]
    found += [torch.view_as_real_copy(pairs), torch.view_as_complex_copy(x.detach()), *torch.unsafe_split_with_sizes(x, [1, 3])]
    return found, x.unsafe_split_with_sizes([3, 1])[0]


@twin
def test_windows_and_frequencies(torch, rng):
    windows = [torch.bartlett_window(7), torch.hann_window(7), torch.hamming_window(7), torch.blackman_window(7)]
    return windows, torch.kaiser_window(7), torch.fft.fftfreq(5, 0.5), torch.fft.rfftfreq(6)


@twin
def test_typed_constructors(torch, rng):
    made = [torch.CharTensor([1, 0]), torch.ShortTensor([1, 0]), torch.IntTensor([1, 0]), torch.HalfTensor([1, 0])]
    made += [torch.DoubleTensor([1, 0]), torch.BoolTensor([1, 0]), torch.from_dlpack(torch.to_dlpack(rng(2)))]
    made += [torch.from_dlpack(torch.utils.dlpack.to_dlpack(rng(2)))]
    layouts = [str(getattr(torch, name)) for name in "sparse_csc sparse_bsr sparse_bsc preserve_format".split()]
    return made, layouts, isinstance(torch.default_generator, torch.Generator)


@twin
def test_cells_by_themselves(torch, rng):
    x, h, c = rng(2, 3, grad=True), rng(2, 4), rng(2, 4)

    def weights(gates):
        return rng(gates * 4, 3), rng(gates * 4, 4), rng(gates * 4), rng(gates * 4)

    found = [torch.rnn_tanh_cell(x, h, *weights(1)), torch.rnn_relu_cell(x, h, *weights(1)), torch.gru_cell(x, h, *weights(3))]
    found += torch.lstm_cell(x, (h, c), *weights(4))
    sum([(one * rng(2, 4)).sum() for one in found]).backward()
    return found, x.grad


@pytest.mark.parametrize("name", ["rnn_tanh", "rnn_relu"])
@twin
def test_recurrent_layers_by_their_weights(torch, rng, name):
    x, h = rng(5, 2, 3, grad=True), rng(2, 2, 4)
    weights = [rng(*shape) / 2 for _ in range(2) for shape in ((4, 3), (4, 4), (4,), (4,))]
    output, last = getattr(torch, name)(x, h, weights, True, 1, 0.0, False, True, False)
    (output * rng(5, 2, 8)).sum().backward()
    return output, last, x.grad


@twin
def test_rows_of_an_embedding_are_scaled_down(torch, rng):
    weight = rng(5, 3, dtype="float64") * 3
    found = [torch.embedding_renorm_(weight, torch.tensor([0, 3, 3]), 1.0, 2.0), weight.clone()]
    found.append(torch.embedding_renorm_(weight, torch.tensor([[1], [4]]), 2.0, 1.0))
    return found, outcome(lambda: torch.embedding_renorm_(weight, torch.tensor([5]), 1.0, 2.0))


@twin
def test_pooling_with_indices(torch, rng):
    F = torch.nn.functional
    found = [torch.max_pool1d_with_indices(rng(2, 3, 8), 2), F.lp_pool2d(rng(1, 2, 6, 6), 2, 3)]
    line, plane, space = rng(1, 2, 6), rng(1, 2, 6, 6), rng(1, 2, 6, 6, 6)
    found += [F.max_pool2d_with_indices(plane, 2), F.max_pool3d_with_indices(space, 2)]
    found += [F.adaptive_max_pool1d_with_indices(line, 3), F.adaptive_max_pool2d_with_indices(plane, 3)]
    found.append(F.adaptive_max_pool3d_with_indices(space, 3))
    for n, x, pool in ((2, plane, F.fractional_max_pool2d_with_indices), (3, space, F.fractional_max_pool3d_with_indices)):
        found.append(pool(x, 2, output_size=(3,) * n, _random_samples=(rng(1, 2, n) / 9).abs()))
    return found


@twin
def test_sampling_grids_and_layouts(torch, rng):
    F = torch.nn.functional
    theta, x = rng(1, 2, 3, grad=True), rng(1, 2, 4, 4)
    grid = F.affine_grid(theta, [1, 2, 4, 4], align_corners=False)
    found = [grid, torch.affine_grid_generator(theta, [1, 2, 4, 4], True), torch.grid_sampler(x, grid, 0, 0, False)]
    found += [F.upsample(x, scale_factor=2), torch.native_channel_shuffle(x, 2), F.native_channel_shuffle(x, 2)]
    found += [F.conv_tbc(rng(5, 2, 3), rng(2, 3, 4), rng(4)), torch.conv_tbc(rng(5, 2, 3), rng(2, 3, 4), rng(4), 1)]
    (found[2] * rng(1, 2, 4, 4)).sum().backward()
    return found, theta.grad


@twin
def test_norms_of_old_names(torch, rng):
    x = rng(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls them deprecated
        return torch.frobenius_norm(x, [0, 1]), torch.nuclear_norm(x), torch.norm_except_dim(x), torch.chain_matmul(x, x.mT, x)


@twin
def test_draws_without_a_choice(torch, rng):
    sure = torch.nn.functional.gumbel_softmax(rng(3, 1), hard=True)
    return sure, torch.binomial(torch.full((3,), 5.0), torch.ones(3)), torch.native_dropout(rng(3), 0.5, False)[0]


UNTESTED: set[str] = set()
"""Public names that no table of torch's and no test mentions: those in the list, or fewer."""


def in_tables() -> set[str]:
    """The functions that torch's table calls, under all their names; the sweep runs the in-place variants as well."""
    found: set[str] = set()
    for info in op_db:
        variants = [info.op, info.method_variant, info.inplace_variant, info.operator_variant, info.inplace_operator_variant]
        found |= {getattr(variant, "__name__", "") for variant in variants}
        found |= {name.rpartition(".")[2] for name in (info.name, info.aten_name, *[alias.name for alias in info.aliases])}
    return found


def untested(place: str) -> set[str]:
    """Names of mini_dl there that neither a table nor a word of a test mentions."""
    folders = [Path(__file__).parent, Path(__file__).parent.parent / "tests"]
    files = [file for folder in folders for file in folder.glob("*.py") if file.name != "faults.py"]
    words = {word for file in files for word in re.findall(r"\w+", file.read_text(encoding="utf-8"))}
    names = vars(mini_dl.Tensor) if place == "Tensor" else NAMESPACES[place]
    return {name for name in names if name[0] != "_"} - words - in_tables()


@pytest.mark.parametrize("place", PLACES)
def test_every_name_is_in_a_table_or_a_test(place: str) -> None:
    found = {f"{place}.{name}" for name in untested(place)}
    known = {name for name in UNTESTED if name.rpartition(".")[0] == place}
    assert found - known == set(), f"write a test (a twin, say) of {sorted(found - known)}"
    assert known - found == set(), f"strike from UNTESTED {sorted(known - found)}"


def test_a_name_without_a_test_is_found() -> None:
    name = "an_operation_of" + "_which_nobody_speaks"
    NAMESPACES["special"][name] = len
    try:
        assert untested("special") == {name}
    finally:
        del NAMESPACES["special"][name]
