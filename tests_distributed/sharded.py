"""``python -m tests_distributed.sharded WHAT FOLDER``: one rank of a world whose parameters are sharded.

Whole models are trained for comparison: by `DistributedDataParallel`, or by this rank with all samples.
"""

from __future__ import annotations

import resource
import sys
import tracemalloc
from pathlib import Path

import mini_dl as torch
import mini_dl.distributed as dist
import mini_dl.distributed.checkpoint as dcp
from mini_dl import nn
from mini_dl.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from mini_dl.distributed.fsdp import FullyShardedDataParallel, fully_shard
from mini_dl.distributed.fsdp.wrap import ModuleWrapPolicy
from mini_dl.distributed.sharding import DTensor
from mini_dl.nn.parallel import DistributedDataParallel


def network() -> nn.Sequential:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(7, 5, bias=False), nn.LayerNorm(5), nn.GELU())
    return nn.Sequential(nn.Linear(6, 7), nn.ReLU(), inner, nn.Linear(5, 3)).double()


def batch(seed: int, count: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator()
    draws.manual_seed(seed)
    return torch.randn(count, 6, dtype=torch.float64, generator=draws), torch.randint(0, 3, (count,), generator=draws)


def sharded(model: nn.Sequential) -> nn.Sequential:
    for layer in (model[0], model[2]):
        fully_shard(layer)
    return fully_shard(model)


def train(model: nn.Module, rank: int, clip: float | None = None, steps: int = 3) -> tuple[torch.optim.Optimizer, list[float]]:
    optimizer, norms = torch.optim.AdamW(model.parameters(), 1e-2, eps=1e-3), []
    for i in range(steps):
        x, y = batch(10 * i + rank)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        if clip is not None:
            norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), clip)))
        optimizer.step()
    return optimizer, norms


def whole(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.full_tensor() if isinstance(value, DTensor) else value for key, value in state.items()}


def check_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert torch.allclose(found[key], value, 1e-10, 1e-10), key


def check_rows_train_as_whole_parameters(rank: int, size: int, folder: Path) -> None:
    plain = DistributedDataParallel(network())
    _, norms = train(plain, rank, clip=0.3)
    expected = plain.module.state_dict()
    rows = sharded(network())
    _, own_norms = train(rows, rank, clip=0.3)
    check_close(whole(rows.state_dict()), expected)
    assert max(abs(a - b) for a, b in zip(norms, own_norms)) < 1e-9
    held = sum(p.numel() for p in rows.parameters())
    assert all(isinstance(p, DTensor) and isinstance(p.grad, DTensor) for p in rows.parameters())
    assert held < 1.4 * sum(value.numel() for value in expected.values()) / size + 10
    wrapped = FullyShardedDataParallel(network(), auto_wrap_policy=ModuleWrapPolicy({nn.Linear}))
    train(wrapped, rank, clip=0.3)
    check_close(wrapped.state_dict(), expected)
    wrapped.load_state_dict({key: torch.zeros_like(value) for key, value in expected.items()})
    assert not any(value.any() for value in wrapped.state_dict().values())
    with FullyShardedDataParallel.summon_full_params(wrapped):
        shapes = {name: tuple(p.shape) for name, p in wrapped.named_parameters()}
        for parameter in wrapped.parameters():
            parameter.data.fill_(2.0)
    assert shapes == {key: tuple(value.shape) for key, value in expected.items()}
    assert all((value == 2).all() for value in wrapped.state_dict().values())


def check_memory_falls_with_the_number_of_ranks(rank: int, size: int, folder: Path) -> None:
    width, depth = 256, 8
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])
    for layer in model:
        fully_shard(layer)
    fully_shard(model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x = torch.ones(2, width)
    tracemalloc.start()
    model(x).sum().backward()
    optimizer.step()
    dist.barrier()
    tracemalloc.reset_peak()
    optimizer.zero_grad()
    model(x).sum().backward()
    optimizer.step()
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    layer, everything = width * (width + 1) * 4, depth * width * (width + 1) * 4
    assert now < 3.5 * everything / size, f"{now} bytes of gradients and state for {everything} of parameters"
    assert peak < 3.5 * everything / size + 6 * layer, f"{peak} bytes at most"


def check_batch_norm_over_all_ranks(rank: int, size: int, folder: Path) -> None:
    def network() -> nn.Sequential:
        torch.manual_seed(0)
        convolution = nn.Conv2d(2, 4, 3, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).double()

    torch.manual_seed(1)
    x, y = torch.randn(12, 2, 4, 4, dtype=torch.float64), torch.randint(0, 3, (12,))
    one = network()
    several = DistributedDataParallel(nn.SyncBatchNorm.convert_sync_batchnorm(network()))
    for model, places in ((one, slice(None)), (several, slice(rank, None, size))):
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[places]), y[places]).backward()
            optimizer.step()
    check_close(several.module.state_dict(), one.state_dict())
    several.eval()
    assert torch.allclose(several(x), one.eval()(x))


def save(rank: int, size: int, folder: Path) -> None:
    model = sharded(network())
    optimizer, _ = train(model, rank)
    state, optimizer_state = get_state_dict(model, optimizer)
    dcp.save(
        {"model": state, "optimizer": optimizer_state, "step": 3, "list": [torch.arange(4), "text"]},
        checkpoint_id=folder / "kept",
    )
    full = whole(model.state_dict())
    if rank == 0:
        torch.save(full, folder / "whole.pt")


def load(rank: int, size: int, folder: Path) -> None:
    """A checkpoint saved by another number of ranks."""
    model = sharded(network())
    optimizer = torch.optim.AdamW(model.parameters(), 0.5, eps=1e-3)
    state, optimizer_state = get_state_dict(model, optimizer)
    found = {"model": state, "optimizer": optimizer_state, "step": 0, "list": [torch.zeros(4, dtype=torch.int64), ""]}
    dcp.load(found, checkpoint_id=folder / "kept")
    set_state_dict(model, optimizer, model_state_dict=found["model"], optim_state_dict=found["optimizer"])
    check_close(whole(model.state_dict()), torch.load(folder / "whole.pt"))
    assert found["step"] == 3 and found["list"][0].tolist() == [0, 1, 2, 3] and found["list"][1] == "text"
    assert optimizer.param_groups[0]["lr"] == 1e-2
    assert all(kept["exp_avg"].shape == p.shape and kept["step"] == 3 for p, kept in optimizer.state.items())
    for wrong, words in (({"none": 1}, "Missing key"), ({"model": {"0.weight": torch.zeros(2, 2)}}, "Size mismatch")):
        error = refusal(wrong, folder)
        assert words in str(error) and sorted(error.failures) == list(range(size))


def refusal(wrong: dict[str, object], folder: Path) -> dcp.CheckpointException:
    """The error of loading a missing name."""
    try:
        dcp.load(wrong, checkpoint_id=folder / "kept")
    except dcp.CheckpointException as error:
        return error
    raise AssertionError(f"{wrong} was found")


def full_disk(rank: int, size: int, folder: Path) -> None:
    """The last rank cannot write its part; the previous checkpoint is kept."""
    model = sharded(network())
    before = {path.name: path.read_bytes() for path in (folder / "kept").iterdir()}
    if rank == size - 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    try:
        dcp.save({"model": model.state_dict()}, checkpoint_id=folder / "kept")
    except dcp.CheckpointException as error:
        assert list(error.failures) == [size - 1], error
    else:
        raise AssertionError("there was no room")
    dist.barrier()
    assert {path.name: path.read_bytes() for path in (folder / "kept").iterdir()} == before


def checks(rank: int, size: int, folder: Path) -> None:
    for name, check in list(globals().items()):
        if name.startswith("check_") and check is not check_close:
            check(rank, size, folder)
            dist.barrier()


if __name__ == "__main__":
    dist.init_process_group("mpi")
    globals()[sys.argv[1]](dist.get_rank(), dist.get_world_size(), Path(sys.argv[2]))
    dist.barrier()
    print("held", flush=True)
