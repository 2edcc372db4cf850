"""Groups of some ranks, and stores."""

from __future__ import annotations

import os
import warnings
from datetime import timedelta
from typing import Any

from tests_distributed.cases.making import attempt, numbers, raises


def case_ranks_and_names(torch: Any, dist: Any, rank: int, size: int) -> Any:
    names = "RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE".split()
    return (
        dist.is_initialized(), dist.get_rank(), dist.get_world_size(), dist.get_backend(), dist.get_process_group_ranks(None),
        [os.environ[name] for name in names], "MASTER_ADDR" in os.environ, dist.get_node_local_rank(),
        dist.group.WORLD.rank(), dist.group.WORLD.size(), dist.group.WORLD.group_desc, dist.GroupMember.NON_GROUP_MEMBER,
        dist.get_global_rank(dist.group.WORLD, rank), dist.get_group_rank(dist.group.WORLD, rank),
    )  # fmt: skip


def case_a_group_of_some(torch: Any, dist: Any, rank: int, size: int) -> Any:
    chosen = list(range(0, size, 2))
    group = dist.new_group(chosen)
    tensor = numbers(torch, rank)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dist.all_reduce(tensor, group=group)
        dist.broadcast(tensor, src=0, group=group) if rank in chosen else None
    outside = [str(each.message) for each in said if "belong" in str(each.message)]
    found: Any = dist.get_rank(group), dist.get_world_size(group), tensor, outside
    if rank in chosen:
        places = [dist.get_global_rank(group, i) for i in range(len(chosen))]
        back = [dist.get_group_rank(group, i) for i in chosen]
        wrong = raises(lambda: dist.get_group_rank(group, 77)), raises(lambda: dist.get_global_rank(group, 77))
        gathered = [torch.zeros(5) for _ in chosen]
        dist.all_gather(gathered, tensor, group=group)
        found = found, places, back, wrong, gathered, dist.get_process_group_ranks(group)
    dist.barrier()  # gloo's group may be closed only when all its ranks have left the collective: see world.run
    if rank in chosen:
        dist.destroy_process_group(group)
    return found


def case_groups_in_an_order(torch: Any, dist: Any, rank: int, size: int) -> Any:
    group = dist.new_group(list(range(size))[::-1], sort_ranks=False)
    into = torch.zeros(size)
    dist.all_gather_into_tensor(into, torch.tensor([float(rank)]), group=group)
    return dist.get_rank(group), into


def case_subgroups(torch: Any, dist: Any, rank: int, size: int) -> Any:
    if size % 2:
        return raises(lambda: dist.new_subgroups(2))
    mine, all_of_them = dist.new_subgroups(2)
    tensor = numbers(torch, rank)
    dist.all_reduce(tensor, group=mine)
    other, _ = dist.new_subgroups_by_enumeration([[0], [1]])
    return tensor, len(all_of_them), dist.get_process_group_ranks(mine), other is None


def case_local_groups(torch: Any, dist: Any, rank: int, size: int) -> Any:
    group = dist.new_group([0], use_local_synchronization=True) if rank == 0 else None
    tensor = numbers(torch, rank)
    if group is not None:
        dist.all_reduce(tensor, group=group)
    return tensor


def case_groups_that_cannot_be(torch: Any, dist: Any, rank: int, size: int) -> Any:
    return [
        attempt(lambda: dist.new_group([0, 0])), attempt(lambda: dist.new_group([size])), attempt(lambda: dist.new_group([-1])),
        attempt(lambda: dist.new_subgroups(size + 1)), attempt(lambda: dist.new_subgroups(0)),
        attempt(lambda: dist.new_subgroups_by_enumeration([])), raises(lambda: dist.init_process_group("gloo")),
        attempt(lambda: dist.init_process_group("gloo")), attempt(lambda: dist.new_group([0], timeout=3)),
    ]  # fmt: skip


def case_stores(torch: Any, dist: Any, rank: int, size: int) -> Any:
    store = dist.HashStore()
    store.set("a", "1")
    store.append("a", b"2")
    store.set_timeout(timedelta(seconds=0.05))
    within = dist.PrefixStore("p", store)
    within.set("a", "inner")
    return (
        store.get("a"), store.add("n", 2), store.add("n", 3), store.get("n"), within.get("a"), store.get("p/a"),
        store.check(["a", "n"]), store.check(["a", "x"]), store.compare_set("c", "", "first"),
        store.compare_set("c", "first", "second"), store.compare_set("c", "first", "third"), store.delete_key("c"),
        store.delete_key("c"), store.multi_get(["a", "n"]), raises(lambda: store.wait(["x"])),
    )  # fmt: skip


def case_a_store_over_sockets(torch: Any, dist: Any, rank: int, size: int) -> Any:
    port = [None]
    if rank == 0:
        store = dist.TCPStore("localhost", 0, None, True)
        port = [store.port]
    dist.broadcast_object_list(port, src=0)
    if rank:
        store = dist.TCPStore("localhost", port[0], None, False)
    store.set(f"from {rank}", str(rank))
    found = [store.get(f"from {i}") for i in range(size)]
    store.add("all", 1)
    dist.barrier()
    total = store.add("all", 0)
    dist.barrier()
    return found, total
