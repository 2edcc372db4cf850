"""Tensors of other classes, named results and generators are exchanged in both directions in .pt files."""

from __future__ import annotations

import io

import pytest
import torch

import mini_dl


def classes_of(library):
    class Slotted(library.Tensor):
        __slots__ = ("label",)

    class Told(library.Tensor):
        def __getstate__(self):
            return {"kept": self.kept}

        def __setstate__(self, state):
            self.kept = state["kept"] + 1

    class Weight(library.nn.Parameter):
        pass

    found = {"Slotted": Slotted, "Told": Told, "Weight": Weight}
    for name, kind in found.items():
        kind.__module__, kind.__qualname__ = __name__, f"{library.__name__}_{name}"
        globals()[kind.__qualname__] = kind  # where its pickles expect it
    return found


CLASSES = {library: classes_of(library) for library in (torch, mini_dl)}


def tensors(library):
    slotted, told = (library.arange(3.0).as_subclass(CLASSES[library][name]) for name in ("Slotted", "Told"))
    slotted.label, slotted.other, told.kept = "s", [1], 4
    weight = CLASSES[library]["Weight"](library.ones(2))
    weight.tag = "t"
    return [slotted, slotted[1:], told, weight]


def described(tensor):
    attributes = {name: getattr(tensor, name, None) for name in ("label", "other", "kept", "tag")}
    name = type(tensor).__name__
    return name, tensor.tolist(), tensor.requires_grad, tensor.is_leaf, tensor._version, attributes


def carried(value, writer, reader, allowed=(), **options):
    file = io.BytesIO()
    writer.save(value, file)
    file.seek(0)
    with reader.serialization.safe_globals(list(allowed)):
        return reader.load(file, **options)


PAIRS = [(torch, mini_dl), (mini_dl, torch), (mini_dl, mini_dl)]


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_tensors_of_other_classes(writer, reader):
    allowed = [(kind, f"{__name__}.{writer.__name__}_{name}") for name, kind in CLASSES[reader].items()]
    found = carried(tensors(writer), writer, reader, allowed)
    expected = carried(tensors(torch), torch, torch, CLASSES[torch].values())
    assert [described(each) for each in found] == [described(each) for each in expected]


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
@pytest.mark.parametrize(
    "call", [lambda m: m.arange(6.0).reshape(2, 3).max(0), lambda m: m.frexp(m.ones(2)), lambda m: m.linalg.slogdet(m.eye(2))]
)
def test_named_results(writer, reader, call):
    kind = type(call(reader))
    for back in (carried(call(writer), writer, reader, [kind]), carried(call(writer), writer, reader, weights_only=False)):
        assert type(back) is kind and [each.tolist() for each in back] == [each.tolist() for each in call(torch)]
    with pytest.raises(Exception, match=r"Unsupported global: GLOBAL torch\.return_types"):
        carried(call(writer), writer, reader)


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_generators_and_types_of_tensors(writer, reader):
    generator = writer.Generator().manual_seed(7)
    back = carried(generator, writer, reader, weights_only=False)
    assert type(back) is reader.Generator and back.initial_seed() == 7
    assert reader.rand(20, generator=back).tolist() == writer.rand(20, generator=generator).tolist()
    assert carried(writer.DoubleTensor, writer, reader) is reader.DoubleTensor
