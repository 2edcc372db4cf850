"""Tensors of other classes, named results and generators in .pt files: under torch's names, with all the state their classes
define.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from typing import Any

import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl.serialization import safe_globals


class Image(torch.Tensor):
    pass


class Slotted(torch.Tensor):
    __slots__ = ("label",)


class Told(torch.Tensor):
    def __getstate__(self) -> Any:
        return {"kept": self.kept}

    def __setstate__(self, state: Any) -> None:
        self.kept = state["kept"] + 1


class Weight(nn.Parameter):
    pass


CLASSES = [Image, Slotted, Told, Weight]


def written(value: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def again(value: Any, weights_only: bool = True) -> Any:
    with safe_globals(CLASSES):
        return torch.load(written(value), weights_only=weights_only)


def names_in(value: Any) -> set[str]:
    pickled = zipfile.ZipFile(written(value)).read("archive/data.pkl")
    return {str(arg) for code, arg, _ in pickletools.genops(pickled) if code.name == "GLOBAL"}


@pytest.mark.parametrize("weights_only", [True, False])
def test_a_class_says_what_is_written_of_its_tensors(weights_only: bool) -> None:
    slotted, told = torch.ones(2).as_subclass(Slotted), torch.ones(2).as_subclass(Told)
    slotted.label, slotted.other, told.kept = "s", "o", 4
    back = again([slotted, told], weights_only)
    assert (type(back[0]), back[0].label, back[0].other) == (Slotted, "s", "o") and "label" not in back[0].__dict__
    assert (type(back[1]), back[1].kept) == (Told, 5)


@pytest.mark.parametrize("weights_only", [True, False])
def test_a_leaf_of_a_subclass_can_train(weights_only: bool) -> None:
    back = again(torch.ones(2).as_subclass(Image).detach().requires_grad_(), weights_only)
    assert type(back) is Image and back.is_leaf
    (back * 2).sum().backward()
    assert back.grad.tolist() == [2, 2]


def test_a_parameter_of_a_subclass_comes_back_as_a_parameter_as_from_its_pickle() -> None:
    weight = Weight(torch.ones(2))
    weight.tag = "t"
    back = torch.load(written(weight))
    assert type(back) is nn.Parameter and back.is_leaf and back.requires_grad and back.tag == "t"


def test_versions_are_those_of_pickles() -> None:
    assert again(torch.ones(2))._version == 1


def test_an_attribute_that_cannot_be_read_is_not_written_and_that_is_said() -> None:
    tensor = torch.ones(2)
    tensor.__dict__["sum"] = 3
    with pytest.warns(UserWarning, match="the attribute 'sum' of a tensor hides"):
        assert again(tensor).sum() == 2


@pytest.mark.parametrize(
    "result", [torch.eye(3).max(0), torch.eye(2).sort(), torch.linalg.svd(torch.eye(2)), torch.frexp(torch.ones(2))]
)
def test_named_results_have_the_names_of_torch(result: Any) -> None:
    kind = type(result)
    assert f"torch.return_types {kind.__name__}" in names_in(result) and "mini_dl" not in str(names_in(result))
    with safe_globals([kind]):
        found = torch.load(written(result))
    for back in (found, torch.load(written(result), weights_only=False)):
        assert type(back) is kind and all([(a == b).all() for a, b in zip(back, result)])


def test_types_of_tensors_and_generators_have_the_names_of_torch() -> None:
    assert torch.load(written(torch.FloatTensor)) is torch.FloatTensor
    generator = torch.Generator().manual_seed(5)
    assert "torch._C Generator" in names_in(generator)
    back = torch.load(written(generator), weights_only=False)
    assert type(back) is torch.Generator and torch.rand(3, generator=back).tolist() == torch.rand(3, generator=generator).tolist()


def test_names_are_allowed_no_longer_when_their_block_was_never_left() -> None:
    block = safe_globals([Image])
    way_out = block.__exit__
    block.__enter__()
    del way_out  # as after an interrupt before the first instruction of the exit
    assert Image not in torch.serialization.get_safe_globals()


def test_a_block_of_names_can_be_entered_by_hand_and_again() -> None:
    block = safe_globals([Image])
    for _ in range(2):
        block.__enter__()
        assert Image in torch.serialization.get_safe_globals()
        block.__exit__(None, None, None)
        assert Image not in torch.serialization.get_safe_globals()


def test_hooks_registered_after_a_module_was_read_do_not_replace_those_it_came_with() -> None:
    module = nn.Linear(2, 2)
    number = module.register_forward_hook(_first).id
    module._forward_hooks = {number + more: _first for more in (1, 2)}  # as from a process that had registered more
    back = pickle.loads(pickle.dumps(module))
    last = back.register_forward_hook(_second)
    assert list(back._forward_hooks.values()) == [_first, _first, _second]
    last.remove()
    assert list(back._forward_hooks.values()) == [_first, _first]


def _first(*_: Any) -> None: ...


def _second(*_: Any) -> None: ...
