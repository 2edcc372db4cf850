"""The arguments that programs pass to `grad` and `backward`, and attributes they read while gradients are off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity_tests.twin import message, twin

FORMS: dict[str, Any] = {
    "values of a dict": lambda given: given.values(),
    "generator": lambda given: (one for one in given.values()),
    "dict": lambda given: given,
}


@pytest.mark.parametrize("form", FORMS)
@twin
def test_gradients_of_any_iterable(torch: Any, rng: Any, form: str) -> Any:
    given = {"x": rng(2, grad=True), "y": rng(2, grad=True)}
    loss = (given["x"] * given["y"]).sum()
    return torch.autograd.grad(loss, FORMS[form](given))


@twin
def test_iterables_in_other_places(torch: Any, rng: Any) -> Any:
    given = {"x": rng(2, grad=True), "y": rng(2, grad=True)}
    loss = {"loss": (given["x"] * given["y"]).sum()}
    first = torch.autograd.grad(loss.values(), [given["x"]], {"g": torch.ones(())}.values(), retain_graph=True)
    torch.autograd.backward(iter(loss.values()), retain_graph=True, inputs=given.values())
    loss["loss"].backward(inputs=given.values())
    return first, given["x"].grad, given["y"].grad, message(lambda: torch.autograd.grad(loss["loss"], 3))[0]


@twin
def test_an_array_of_what_requires_grad_while_gradients_are_off(torch: Any, rng: Any) -> Any:
    x = rng(3, grad=True)
    with torch.no_grad():
        found = x.numpy(), np.asarray(x)
    with torch.inference_mode():
        more = x.numpy()
    return found[0], found[1], more, message(lambda: x.numpy())


@twin
def test_saved_tensors_become_arrays(torch: Any, rng: Any) -> Any:
    x = rng(3, grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy(), torch.from_numpy):
        loss = (x * x).exp().sum()
    loss.backward()
    return x.grad


@twin
def test_a_check_of_second_derivatives_draws_from_the_generator(torch: Any, rng: Any) -> Any:
    x = rng(4, dtype="float64", grad=True)
    torch.manual_seed(3)
    torch.autograd.gradgradcheck(torch.sin, (x,))
    return torch.rand(2)


@twin
def test_complex_second_derivatives_are_checked(torch: Any, rng: Any) -> Any:
    x = rng(3, dtype="complex128", grad=True)
    torch.manual_seed(3)
    return torch.autograd.gradgradcheck(lambda z: z * z.conj(), (x,)), torch.rand(2)
