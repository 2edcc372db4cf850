"""Programs that combine two features: autocast and `no_grad`, meta tensors and gradients, bfloat16 and other types."""

from __future__ import annotations

import io
import threading

import pytest

from parity_tests.twin import outcome, raised, twin


@twin
@pytest.mark.parametrize("first", ("no_grad", "inference_mode"))
def test_a_cast_kept_without_a_graph_does_not_cut_one(torch, rng, first):
    layer = torch.nn.Linear(2, 2, bias=False)
    torch.nn.init.ones_(layer.weight)
    with torch.autocast("cpu", torch.bfloat16):
        with getattr(torch, first)():
            layer(torch.ones(1, 2))
        layer(torch.ones(1, 2)).sum().backward()
    return layer.weight.grad


@twin
def test_gradients_of_meta_tensors_are_meta_tensors(torch, rng):
    weight = torch.ones(3, 2, device="meta", requires_grad=True)
    (torch.ones(4, 3, device="meta") @ weight).sum().backward()
    one = torch.ones((), device="meta", requires_grad=True)
    (one * 2).backward()
    return str(weight.grad.device), weight.grad.shape, str(one.grad.device), str(torch.autograd.grad(one * 2, one)[0].device)


@twin
def test_a_gradient_is_on_the_device_of_its_tensor(torch, rng):
    assert raised(lambda: setattr(torch.ones(3, requires_grad=True), "grad", torch.ones(3, device="meta"))) == "RuntimeError"
    assert raised(lambda: setattr(torch.ones(3, device="meta"), "grad", torch.ones(3))) == "RuntimeError"


INDICES = {
    "places": lambda torch: torch.tensor([0, 1]),
    "a list": lambda torch: [0, 2],
    "a mask": lambda torch: torch.tensor([True, False, True]),
}


@twin
@pytest.mark.parametrize("name", INDICES)
def test_meta_tensors_are_indexed_by_tensors_on_the_cpu(torch, rng, name):
    value = torch.ones(3, 2, device="meta")
    found = value[INDICES[name](torch)]
    value[INDICES[name](torch)] = 2.0
    return found.shape, str(found.device), value._version


@twin
def test_the_default_device_may_be_meta_and_belongs_to_its_thread(torch, rng):
    seen = []
    torch.set_default_device("meta")
    try:
        other = threading.Thread(target=lambda: seen.append(str(torch.ones(2).device)))
        other.start()
        other.join()
        with torch.device("cpu"):
            seen.append(str(torch.ones(2).device))
        seen += [str(torch.ones(2).device), str(torch.get_default_device()), str(torch.nn.Linear(2, 2).weight.device)]
    finally:
        torch.set_default_device(None)
    return [*seen, str(torch.ones(2).device)]


FLOATS = ("bfloat16", "float16", "float32", "float64")
MIXED = {
    "clamp": lambda torch, a, b: torch.clamp(a, b),
    "clamp_max": lambda torch, a, b: torch.clamp_max(a, b),
    "clamp between": lambda torch, a, b: torch.clamp(a, a, b),
    "binary_cross_entropy_with_logits": lambda torch, a, b: torch.nn.functional.binary_cross_entropy_with_logits(a, b),
    "weighted": lambda torch, a, b: torch.nn.functional.binary_cross_entropy_with_logits(a, b, b.double()),
    "index_put": lambda torch, a, b: raised(lambda: a.index_put((torch.tensor([0]),), b[:1])),
    "index_put of leaves": lambda torch, a, b: raised(lambda: a.requires_grad_().index_put((torch.tensor([0]),), b[:1])),
    "vector_norm": lambda torch, a, b: raised(lambda: torch.linalg.vector_norm(a, dtype=b.dtype)),
}


@twin
@pytest.mark.parametrize("second", FLOATS)
@pytest.mark.parametrize("first", FLOATS)
@pytest.mark.parametrize("name", MIXED)
def test_tensors_of_two_floating_point_types(torch, rng, name, first, second):
    a = torch.tensor([1.5, -2.0, 0.25], dtype=getattr(torch, first))
    b = torch.tensor([0.5, 3.0, -1.0], dtype=getattr(torch, second))
    result = MIXED[name](torch, a, b)
    return result if isinstance(result, str) else (str(result.dtype), (result.double() * 8).round())


LOSSES = ("mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss", "kl_div")


@twin
@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize(
    "types", (("float32", "bool"), ("bool", "float32"), ("bfloat16", "bool"), ("bool", "bool"), ("uint8", "bool"))
)
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_between_numbers_and_masks(torch, rng, loss, types):
    a, b = (torch.tensor([1.5, 0.0, 0.25]).to(getattr(torch, kind)) for kind in types)
    result = outcome(lambda: getattr(torch.nn.functional, loss)(a, b))
    return result if isinstance(result, str) else (str(result.dtype), (result.double() * 8).round())


@twin
@pytest.mark.parametrize("place", ("meta", {"cpu": "meta"}))
@pytest.mark.parametrize("archive", (True, False))
def test_a_file_is_read_without_its_values(torch, rng, archive, place):
    layer = torch.nn.Linear(2, 3).bfloat16()
    file = io.BytesIO()
    torch.save(
        {"layer": layer.state_dict(), "pair": [layer.weight, layer.weight[1:]]}, file, _use_new_zipfile_serialization=archive
    )
    file.seek(0)
    found = torch.load(file, map_location=place)
    tensors = [*found["layer"].values(), *found["pair"]]
    whole = torch.nn.Linear(2, 3)
    whole.load_state_dict(found["layer"], assign=True)
    told = [(str(each.device), str(each.dtype), each.shape, each.requires_grad, type(each).__name__) for each in tensors]
    return told, str(whole.weight.device)
