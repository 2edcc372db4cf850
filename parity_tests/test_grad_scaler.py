"""`GradScaler`: the factor, the gradients, the skipped steps, and the saved state."""

from __future__ import annotations

import copy
import pickle

import pytest

from parity_tests.twin import outcome, twin


def setup(torch, **options):
    p = torch.tensor([1.0, 2.0], requires_grad=True)
    return p, torch.optim.SGD([p], lr=0.1), torch.amp.GradScaler("cpu", **{"init_scale": 4.0, "growth_interval": 2, **options})


@twin
@pytest.mark.parametrize("bad", [(), (1,), (0, 1), (1, 3), (0, 1, 2, 3)])
def test_the_factor_grows_and_shrinks(torch, rng, bad):
    p, optimizer, scaler = setup(torch)
    seen = []
    for step in range(6):
        optimizer.zero_grad()
        scaler.scale((p * p).sum() * (float("inf") if step in bad else 1.0)).backward()
        scaler.step(optimizer)
        scaler.update()
        seen.append((scaler.get_scale(), scaler.state_dict(), p.detach().clone()))
    return seen


@twin
def test_outputs_of_every_kind_are_scaled(torch, rng):
    _, _, scaler = setup(torch)
    x = rng(2)
    nested = scaler.scale([x, (x, [x])])
    return scaler.scale(x), nested, list(scaler.scale(iter([x]))), outcome(lambda: scaler.scale(3)), type(nested[1]).__name__


@twin
def test_gradients_are_unscaled_once(torch, rng):
    p, optimizer, scaler = setup(torch)
    scaler.scale(p.sum()).backward()
    before = p.grad.clone()
    scaler.unscale_(optimizer)
    return (
        before,
        p.grad,
        outcome(lambda: scaler.unscale_(optimizer)),
        scaler.step(optimizer),
        outcome(lambda: scaler.unscale_(optimizer)),
        outcome(lambda: scaler.step(optimizer)),
        scaler.update(),
        p,
    )


@twin
@pytest.mark.parametrize("call", [
    lambda torch, s, o: s.step(o),
    lambda torch, s, o: s.unscale_(o),
    lambda torch, s, o: s.update(),
    lambda torch, s, o: (s.scale(torch.ones(1)), s.update())[1],
    lambda torch, s, o: (s.scale(torch.ones(1)), s.step(o)),
    lambda torch, s, o: s.step(o, closure=lambda: 0),
    lambda torch, s, o: (s.scale(torch.ones(1)), s.update(3.0), s.get_scale()),
    lambda torch, s, o: (s.scale(torch.ones(1)), s.update(torch.tensor([5.0])), s.get_scale()),
    lambda torch, s, o: (s.scale(torch.ones(1)), s.update(torch.ones(2))),
    lambda torch, s, o: (s.scale(torch.ones(1)), s.update(torch.ones(1, requires_grad=True))),
    lambda torch, s, o: s.load_state_dict({}),
    lambda torch, s, o: torch.amp.GradScaler("cpu", growth_factor=1.0),
    lambda torch, s, o: torch.amp.GradScaler("cpu", backoff_factor=1.0),
    lambda torch, s, o: torch.amp.GradScaler().is_enabled(),
    lambda torch, s, o: torch.cuda.amp.GradScaler().is_enabled(),
    lambda torch, s, o: torch.cpu.amp.GradScaler().is_enabled(),
    lambda torch, s, o: (s.get_growth_factor(), s.get_backoff_factor(), s.get_growth_interval(), s._get_growth_tracker()),
    lambda torch, s, o: (s.set_growth_factor(3.0), s.set_backoff_factor(0.1), s.set_growth_interval(7), s.state_dict()),
], ids=range(18))  # fmt: skip
def test_calls_out_of_order_and_settings(torch, rng, call):
    _, optimizer, scaler = setup(torch)
    return outcome(lambda: call(torch, scaler, optimizer))


@twin
def test_disabled_it_does_nothing(torch, rng):
    p, optimizer, scaler = setup(torch, enabled=False)
    loss = p.sum()
    same = scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    scaler.load_state_dict({"scale": 3.0})
    return same, p, scaler.state_dict(), scaler.get_scale(), scaler.is_enabled()


@twin
def test_gradients_in_float16_are_refused(torch, rng):
    p = torch.ones(2, dtype=torch.float16, requires_grad=True)
    optimizer, scaler = torch.optim.SGD([p], lr=0.1), torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(p.sum()).backward()
    return outcome(lambda: scaler.unscale_(optimizer))


@twin
def test_two_optimizers_share_the_factor(torch, rng):
    p, first, scaler = setup(torch)
    q = torch.ones(2, requires_grad=True)
    second = torch.optim.SGD([q], lr=0.1)
    scaler.scale(p.sum() + q.sum() * float("inf")).backward()
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    return p, q, scaler.get_scale()


@twin
@pytest.mark.parametrize("used", [False, True])
def test_it_is_saved_and_copied(torch, rng, used):
    p, optimizer, scaler = setup(torch)
    if used:
        scaler.scale(p.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    again = pickle.loads(pickle.dumps(scaler))
    return other.state_dict(), again.state_dict(), copy.deepcopy(scaler).state_dict()


@twin
def test_a_scaler_in_the_middle_of_an_iteration_is_not_pickled(torch, rng):
    p, optimizer, scaler = setup(torch)
    scaler.scale(p.sum()).backward()
    scaler.unscale_(optimizer)
    return outcome(lambda: pickle.dumps(scaler))


@twin
@pytest.mark.parametrize("form", ["attributes", "keyword"])
@pytest.mark.parametrize("unscaled", [False, True])
def test_an_optimizer_may_scale_by_itself(torch, rng, form, unscaled):
    seen = []

    class Own(torch.optim.SGD):
        _step_supports_amp_scaling = True

        def step(self, closure=None):
            seen.append((self.grad_scale, self.found_inf))

    class Keyword(torch.optim.SGD):
        _step_supports_amp_scaling = True

        def step(self, closure=None, grad_scaler=None):
            seen.append(type(grad_scaler).__name__)

    p = torch.ones(2, requires_grad=True)
    optimizer, scaler = (Own if form == "attributes" else Keyword)([p], lr=0.1), torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(p.sum()).backward()
    if unscaled:
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    return seen, hasattr(optimizer, "grad_scale"), p.grad
