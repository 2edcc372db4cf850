"""Storages saved by themselves: their type, their memory and what a function in `map_location` sees of them."""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch as real

from parity_tests import bridge
from parity_tests.twin import twin

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for library in (real, bridge.mini_dl):
        library.ones(1).storage()  # both warn of it once in a process

STORAGES = {
    "float32": lambda torch: torch.tensor([1.0, 2.5]).storage(),
    "a view's": lambda torch: torch.arange(4)[1:].storage(),
    "bool": lambda torch: torch.tensor([True, False]).storage(),
    "complex64": lambda torch: torch.tensor([1 + 2j]).storage(),
    "bfloat16": lambda torch: torch.ones(2, dtype=torch.bfloat16).storage(),
    "made by itself": lambda torch: torch.ShortStorage([3, 4]),
    "empty": lambda torch: torch.LongStorage(0),
    "bytes": lambda torch: torch.arange(2).untyped_storage(),
}


def again(library, obj, *, reader=None, **options):
    file = io.BytesIO()
    library.save(obj, file, **options.pop("saving", {}))
    file.seek(0)
    return (reader or library).load(file, **options)


def shown(torch, storage):
    """What a program can tell about a storage, without its library's classes."""
    kinds = [isinstance(storage, kind) for kind in (torch.TypedStorage, torch.FloatStorage, torch.LongStorage)]
    facts = len(storage), storage.size(), storage.nbytes(), storage.element_size(), torch.is_storage(storage)
    return repr(storage), type(storage).__name__, str(storage.dtype), kinds, facts, storage.tolist()


@pytest.mark.parametrize("name", STORAGES)
@twin
def test_a_storage_keeps_its_type_in_a_file_and_in_copies(torch, rng, name):
    storage, old = STORAGES[name](torch), {"_use_new_zipfile_serialization": False}
    kinds = [again(torch, storage), again(torch, storage, weights_only=False), again(torch, again(torch, storage))]
    kinds += [again(torch, storage, saving=old)] if name != "bytes" else []
    return [shown(torch, kind) for kind in kinds], repr(copy.deepcopy(storage)), repr(storage.clone()), repr(storage)


@pytest.mark.parametrize("name", STORAGES)
@twin
def test_the_other_library_reads_the_same_storage(torch, rng, name):
    other = bridge.mini_dl if torch is real else real
    return shown(other, again(torch, STORAGES[name](torch), reader=other))


@twin
def test_a_storage_and_its_tensor_share_memory_after_loading(torch, rng):
    x = torch.arange(4.0)
    tensor, storage = again(torch, [x[1:], x.storage()])
    storage[1] = 9
    storage.fill_(5) if tensor[0] == 9 else None
    return tensor, storage.tolist()


@pytest.mark.parametrize("zipped", [True, False])
@twin
def test_a_function_in_map_location_sees_bytes(torch, rng, zipped):
    seen, x = [], torch.arange(2.0)
    saving = {"_use_new_zipfile_serialization": zipped}

    def look(storage, location):
        seen.append((type(storage).__name__, location, storage.nbytes(), len(storage), storage.element_size()))
        return storage.cpu().clone()

    tensors = again(torch, [x, x[:1], torch.ones(3, dtype=torch.int8)], map_location=look, saving=saving)
    tensors[0].add_(1)
    return tensors, seen


@twin
def test_the_bytes_of_a_tensor_can_be_set_and_copied(torch, rng):
    x = torch.zeros(3, dtype=torch.uint8)
    memory = x.untyped_storage()
    copied = memory.clone().fill_(7)
    memory.copy_(copied)
    return x, copied.tolist(), memory.cpu().tolist(), repr(memory), repr(torch.UntypedStorage(0))
