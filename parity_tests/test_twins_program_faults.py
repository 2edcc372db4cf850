"""Differences found by third-party programs: each body is the part of one for which the libraries differed."""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests.twin import twin


@twin
def test_the_class_of_a_node_is_called_as_the_node(torch: Any, rng: Any) -> Any:
    x = rng(3, 4, grad=True)
    y = (x.exp() * 2).split(2, 1)[0].sum()
    names, nodes = [], [y.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is not None:
            names.append((type(node).__name__, node.name(), isinstance(node, torch.autograd.graph.Node)))
            nodes.extend([following for following, _ in node.next_functions])
    y.backward()
    return names, x.grad


@twin
def test_a_node_that_was_looked_at_still_takes_gradients(torch: Any, rng: Any) -> Any:
    x = rng(3, grad=True)
    y = x.sin()
    first, second = y.unbind()[0], y.relu()
    seen = [type(first.grad_fn).__name__, type(y.grad_fn).__name__, type(second.grad_fn).__name__]
    return seen, torch.autograd.grad(first + second.sum(), [x, y])


@twin
def test_the_identity_as_a_grid_leads_to_the_same_pixels(torch: Any, rng: Any) -> Any:
    results = []
    for size in ((7, 7), (28, 28), (5, 7, 9)):
        n = len(size)
        theta = torch.eye(n, n + 1)[None].requires_grad_()
        grid = torch.nn.functional.affine_grid(theta, (1, 1, *size), align_corners=False)
        grid.retain_grad()  # point by point: the sum over all points, which `theta` gets, is rounded in torch's order
        torch.nn.functional.grid_sample(rng(1, 1, *size), grid, align_corners=False).sum().backward()
        results += [grid.detach(), grid.grad]
    return results


@twin
def test_a_profiler_counts_a_step_before_its_trace_is_ready(torch: Any, rng: Any) -> Any:
    seen: list[int] = []
    schedule = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    activities = [torch.profiler.ProfilerActivity.CPU]
    ready = lambda profile: seen.append(profile.step_num)
    with torch.profiler.profile(activities=activities, schedule=schedule, on_trace_ready=ready) as profile:
        for _ in range(5):
            torch.ones(2).exp()
            profile.step()
    return seen, profile.step_num


@twin
def test_names_that_programs_read_around_the_edges(torch: Any, rng: Any) -> Any:
    x, init, hub = rng(2, 3, grad=True), torch.nn.init, torch.hub
    torch.manual_seed(0)
    drawn = [init._no_grad_uniform_(x, -1.0, 1.0).sum(), init._no_grad_normal_(x, 0.0, 2.0).sum()]
    drawn += [
        init._no_grad_trunc_normal_(x, 0.0, 1.0, -2.0, 2.0).sum(),
        init._no_grad_fill_(x, 3.0).sum(),
        init._no_grad_zero_(x).sum(),
    ]
    constants = [hub.ENV_TORCH_HOME, hub.ENV_XDG_CACHE_HOME, hub.DEFAULT_CACHE_DIR, hub.VAR_DEPENDENCY, hub.MODULE_HUBCONF]
    constants += [hub.READ_DATA_CHUNK, torch.serialization.DEFAULT_PROTOCOL, torch.nn.modules.module._EXTRA_STATE_KEY_SUFFIX]
    enum = torch.nn.functional._Reduction.get_enum("sum")
    return drawn, constants, enum, torch._shape_as_tensor(x), x.is_vulkan


@twin
def test_subclasses_are_switched_off_by_every_name_of_the_switch(torch: Any, rng: Any) -> Any:
    class Own(torch.Tensor):
        pass

    x, kinds = rng(2).as_subclass(Own), []
    for switch in (torch.DisableTorchFunctionSubclass, torch._C.DisableTorchFunctionSubclass, torch._C.DisableTorchFunction):
        with switch():
            kinds.append(type(x * 1).__name__)
    return kinds, type(x * 1).__name__


@twin
def test_attention_of_ones_own_is_built_from_the_parts_of_torchs(torch: Any, rng: Any) -> Any:
    F = torch.nn.functional
    x, memory, w, b = rng(2, 3, 4, grad=True), rng(2, 5, 4), rng(12, 4, grad=True), rng(12)
    alone, across = F._in_projection_packed(x, x, x, w, b), F._in_projection_packed(x, memory, memory, w)
    apart = F._in_projection(x, memory, memory, w[:4], w[4:8], w[8:], b[:4])
    masks = [F._canonical_mask(torch.tensor([[True, False]]), "m", torch.bool, "o", torch.float32)]
    masks += [
        F._canonical_mask(rng(1, 2), "m", torch.bool, "o", torch.float32),
        F._canonical_mask(None, "m", None, "", torch.float32),
    ]
    batched = [F._mha_shape_check(x, x, x, None, None, 2), F._mha_shape_check(x[0], x[0], x[0], None, None, 2)]
    sum(part.sum() for part in (*alone, *across, *apart)).backward()
    return (
        list(alone),
        list(across),
        list(apart),
        masks,
        batched,
        x.grad,
        w.grad,
        F._none_or_dtype(None),
        F._none_or_dtype(x),
    )


@twin
def test_a_mask_of_the_wrong_shape_is_refused_as_by_torch(torch: Any, rng: Any) -> Any:
    x = rng(3, 4)
    with pytest.raises(AssertionError) as caught:
        torch.nn.functional._mha_shape_check(x, x, x, None, rng(2, 3, 4), 2)
    return str(caught.value)


@twin
def test_keys_without_the_batch_of_the_queries_are_refused_as_by_torch(torch: Any, rng: Any) -> Any:
    x = rng(2, 3, 4)
    with pytest.raises(AssertionError) as caught:
        torch.nn.functional._mha_shape_check(x, x[0], x, None, None, 2)
    return str(caught.value)
