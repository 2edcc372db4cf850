"""Training with `DistributedDataParallel` and `ZeroRedundancyOptimizer`: both libraries agree within rounding."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from typing import Any

from tests_distributed.cases.making import attempt


def part(library: Any, name: str) -> Any:
    """A module of the library under test."""
    return importlib.import_module(f"{library.__name__}.{name}")


def wrapped(torch: Any, module: Any, **options: Any) -> Any:
    return part(torch, "nn.parallel").DistributedDataParallel(module, **options)


def network(torch: Any) -> Any:
    """Two paths; the linear layer before batch norm has no bias, whose gradient would be nothing but rounding error."""
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8)
            self.middle, self.one, self.other = nn.Linear(8, 8), nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x: Any, other: bool = False, both: bool = False) -> Any:
            hidden = torch.relu(self.middle(torch.relu(self.norm(self.first(x)))))
            if both:
                return {"one": self.one(hidden), "other": [self.other(hidden)]}
            return self.other(hidden) if other else self.one(hidden)

    return Network()


def small(torch: Any) -> Any:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Linear(4, 3)).double()


def batch(torch: Any, seed: int) -> tuple[Any, Any]:
    draws = torch.Generator()
    draws.manual_seed(seed)
    return torch.rand(8, 6, generator=draws).double() - 0.5, torch.randint(0, 3, (8,), generator=draws)


def step(torch: Any, model: Any, seed: int, **options: Any) -> None:
    x, y = batch(torch, seed)
    torch.nn.functional.cross_entropy(model(x, **options), y).backward()


def state(module: Any) -> Any:
    return [p for p in module.parameters()], [p.grad for p in module.parameters()], list(module.buffers())


def trained(torch: Any, rank: int, other: Callable[[int], bool] | None = None, **options: Any) -> Any:
    """The network after three steps of Adam; each rank starts with its own parameters, of which rank 0's are broadcast."""
    torch.manual_seed(rank)
    module = network(torch).double()
    model = wrapped(torch, module, **options)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, eps=1e-3)  # a smaller one would amplify gradients near 0
    for i in range(3):
        optimizer.zero_grad()
        step(torch, model, 10 * i + rank, **({} if other is None else {"other": other(i)}))
        optimizer.step()
    return state(module)


def case_unused_parameters(torch: Any, dist: Any, rank: int, size: int) -> Any:
    return trained(torch, rank, find_unused_parameters=True)


def case_parameters_that_some_ranks_use(torch: Any, dist: Any, rank: int, size: int) -> Any:
    return trained(torch, rank, lambda i: (i + rank) % 2 == 0, find_unused_parameters=True)


def case_a_static_graph(torch: Any, dist: Any, rank: int, size: int) -> Any:
    return trained(torch, rank, static_graph=True), trained(torch, rank, static_graph=True, gradient_as_bucket_view=True)


def case_gradients_as_views(torch: Any, dist: Any, rank: int, size: int) -> Any:
    return trained(torch, rank, find_unused_parameters=True, gradient_as_bucket_view=True)


def case_small_buckets(torch: Any, dist: Any, rank: int, size: int) -> Any:
    return trained(torch, rank, find_unused_parameters=True, bucket_cap_mb=0.0001)


def case_buffers_of_their_own(torch: Any, dist: Any, rank: int, size: int) -> Any:
    return trained(torch, rank, find_unused_parameters=True, forward_sync_buffers=False)


def case_outputs_that_are_not_part_of_the_loss(torch: Any, dist: Any, rank: int, size: int) -> Any:
    torch.manual_seed(rank)
    module = network(torch).double()
    model = wrapped(torch, module, find_unused_parameters=True)
    for i in range(2):
        x, y = batch(torch, 10 * i + rank)
        torch.nn.functional.cross_entropy(model(x, both=True)["other"][0], y).backward()
    return state(module)


def case_a_step_without_all_gradients(torch: Any, dist: Any, rank: int, size: int) -> Any:
    model = wrapped(torch, network(torch).double())
    step(torch, model, rank)
    kind, words = attempt(lambda: step(torch, model, rank))
    return kind, words.partition(".")[0]


def case_steps_without_averaging(torch: Any, dist: Any, rank: int, size: int) -> Any:
    module = small(torch)
    model, found = wrapped(torch, module), []
    for i in range(2):
        with model.no_sync():
            step(torch, model, rank + 10 * i)
        found.append([p.grad.clone() for p in module.parameters()])
    step(torch, model, rank + 5)
    return found, state(module)


def case_uneven_inputs(torch: Any, dist: Any, rank: int, size: int) -> Any:
    found = []
    for by_initial in (True, False):
        module = small(torch)
        model = wrapped(torch, module)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with model.join(divide_by_initial_world_size=by_initial):
            for i in range(3 + rank):
                optimizer.zero_grad()
                step(torch, model, 7 * i + rank)
                optimizer.step()
        found.append(list(module.parameters()))
    return found


def case_uneven_inputs_that_end_it(torch: Any, dist: Any, rank: int, size: int) -> Any:
    model = wrapped(torch, small(torch))

    def steps() -> None:
        with model.join(throw_on_early_termination=True):
            for i in range(2 + rank):
                step(torch, model, i)

    return attempt(steps) if size > 1 else None


def case_uneven_inputs_of_an_optimizer(torch: Any, dist: Any, rank: int, size: int) -> Any:
    module = small(torch)
    model = wrapped(torch, module)
    optimizer = part(torch, "distributed.optim").ZeroRedundancyOptimizer(model.parameters(), torch.optim.Adam, lr=0.01, eps=1e-3)
    with part(torch, "distributed.algorithms.join").Join([model, optimizer]):
        for i in range(2 + rank):
            optimizer.zero_grad()
            step(torch, model, 7 * i + rank)
            optimizer.step()
    return list(module.parameters())


def case_hooks_for_buckets(torch: Any, dist: Any, rank: int, size: int) -> Any:
    hooks = part(torch, "distributed.algorithms.ddp_comm_hooks.default_hooks")
    module = small(torch)
    model = wrapped(torch, module)
    model.register_comm_hook(None, hooks.allreduce_hook)
    for i in range(3):
        step(torch, model, 7 * i + rank)
    seen = []

    def keeps(key, bucket):  # type: ignore[no-untyped-def]  # torch refuses other annotations
        gradients = [tuple(g.shape) for g in bucket.gradients()]
        seen.append((key, bucket.index(), bucket.is_last(), tuple(bucket.buffer().shape), gradients))
        future = torch.futures.Future()
        future.set_result(bucket.buffer() * 2)
        return future

    other = small(torch)
    model = wrapped(torch, other, bucket_cap_mb=0.00001)
    model.register_comm_hook("key", keeps)
    for i in range(3):
        step(torch, model, 7 * i + rank)
    refused = attempt(lambda: model.register_comm_hook(None, 3))
    return state(module), seen, state(other), refused


def case_half_precision_on_the_way(torch: Any, dist: Any, rank: int, size: int) -> Any:
    if size > 2:  # the order of additions matters
        return None
    hooks, found = part(torch, "distributed.algorithms.ddp_comm_hooks.default_hooks"), []
    for hook in (hooks.fp16_compress_hook, hooks.fp16_compress_wrapper(hooks.allreduce_hook)):
        module = small(torch)
        model = wrapped(torch, module)
        model.register_comm_hook(None, hook)
        step(torch, model, rank)
        found.append([p.grad for p in module.parameters()])
    return found


def case_modules_that_cannot_be_wrapped(torch: Any, dist: Any, rank: int, size: int) -> Any:
    frozen = small(torch).requires_grad_(False)
    return attempt(lambda: wrapped(torch, frozen)), attempt(lambda: wrapped(torch, small(torch), device_ids=[0, 1]))


def case_keys_of_the_state(torch: Any, dist: Any, rank: int, size: int) -> Any:
    model = wrapped(torch, small(torch))
    return list(model.state_dict()), [name for name, _ in model.named_parameters()], type(model).__name__


def case_state_in_parts(torch: Any, dist: Any, rank: int, size: int) -> Any:
    zero = part(torch, "distributed.optim").ZeroRedundancyOptimizer
    module = small(torch)
    model = wrapped(torch, module)
    optimizer = zero(model.parameters(), torch.optim.Adam, lr=0.01, eps=1e-3)
    for i in range(3):
        optimizer.zero_grad()
        step(torch, model, 7 * i + rank)
        optimizer.step()
    kept = sorted([tuple(p.shape) for p in optimizer.optim.state])
    refused = attempt(optimizer.state_dict)
    optimizer.consolidate_state_dict(0)
    box = [optimizer.state_dict() if rank == 0 else None]
    dist.broadcast_object_list(box, 0)
    whole = copy.deepcopy(box[0]["state"])
    again = zero(model.parameters(), torch.optim.Adam, lr=0.5, eps=1e-3)
    again.load_state_dict(box[0])
    again.zero_grad()
    step(torch, model, rank)
    again.step()
    groups = {key: value for key, value in again.param_groups[0].items() if key in ("lr", "betas", "eps")}
    return kept, refused, whole, groups, state(module)


def case_samples_of_each_rank(torch: Any, dist: Any, rank: int, size: int) -> Any:
    sampler = part(torch, "utils.data").DistributedSampler(range(11), seed=3)
    sampler.set_epoch(2)
    return list(sampler), len(sampler)


def case_digits_for_three_epochs(torch: Any, dist: Any, rank: int, size: int) -> Any:
    """The same batches for any number of ranks: each takes its share of every one."""
    from mini_dl.datasets import Digits

    digits, nn = Digits(train=True), torch.nn
    images = torch.from_numpy(digits.data.numpy().astype("float64")).unsqueeze(1) / 16
    labels = torch.from_numpy(digits.targets.numpy().astype("int64"))
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 10)
    model = wrapped(torch, nn.Sequential(*layers).double())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(3):
        for places in torch.randperm(1428).split(84):
            own = places[rank::size]
            loss = nn.functional.cross_entropy(model(images[own]), labels[own])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mean = loss.detach().clone()
            dist.all_reduce(mean)
            losses.append(mean / size)
    return torch.stack(losses), list(model.parameters())


def case_a_parameter_in_two_places(torch: Any, dist: Any, rank: int, size: int) -> Any:
    nn = torch.nn
    torch.manual_seed(0)
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    module = nn.Sequential(first, nn.Tanh(), second, nn.Linear(6, 3)).double()
    model = wrapped(torch, module)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for i in range(3):
        optimizer.zero_grad()
        step(torch, model, 10 * i + rank)
        optimizer.step()
    return state(module)
