"""Groups of processes: the world group, and subgroups."""

from __future__ import annotations

import os
import warnings
from collections import deque
from datetime import timedelta
from typing import ClassVar, TypeAlias
from zlib import crc32

from mini_dl import _parallel_names
from mini_dl._parallel_names import default_pg_timeout
from mini_dl.distributed.backends import Backend, checked_backend
from mini_dl.distributed.launching import set_environment, stop_all_on_error
from mini_dl.distributed.mpi import INSTALL, Comm, is_available, mpi
from mini_dl.distributed.work import Collective

ASSIGNED = 1 << 14
"""MPI tags below this one are reserved for creating groups: each group of a job gets one."""


class ProcessGroup:
    """Processes that communicate, including this one.

    `comm` carries the data, `control` the prior agreement of the ranks (see `Collective`); `waiting` are the collectives that
    have not started sending data.
    """

    def __init__(
        self, comm: Comm, ranks: list[int], backend: str, timeout: timedelta, name: str, description: str | None
    ) -> None:
        self.comm, self.control = comm, comm.Dup()
        self.ranks, self.backend, self.timeout = ranks, backend, timeout
        self.group_name, self.group_desc = name, description or "undefined"
        self.waiting: deque[Collective] = deque()
        self.bound_device_id = None

    def rank(self) -> int:
        """The rank of this process in the group."""
        return int(self.comm.rank)

    def size(self) -> int:
        """The number of processes."""
        return int(self.comm.size)

    def name(self) -> str:
        """The backend: "mpi"."""
        return "mpi"

    def begin(self) -> None:
        """Start sending the data of the collectives that all ranks have agreed on, in order."""
        while self.waiting and self.waiting[0].begin():
            self.waiting.popleft()

    def free(self) -> None:
        """Free the communicators."""
        self.control.Free()
        self.comm.Free()

    __hash__ = object.__hash__


Group: TypeAlias = ProcessGroup | int | None
"""A group as an argument: None for the world group, a number for one that this process is not in."""


class _Groups:
    """The groups of this process."""

    def __init__(self) -> None:
        self.default: ProcessGroup | None = None
        self.made: dict[str, ProcessGroup] = {}
        self.count = 0


groups = _Groups()


class _WorldMeta(type):
    @property
    def WORLD(cls) -> ProcessGroup | None:
        """The group of all processes; None before `init_process_group`."""
        return groups.default


class group(metaclass=_WorldMeta):
    """The group of all processes: ``group.WORLD``."""


class GroupMember(metaclass=_WorldMeta):
    """The world group, and the placeholder for a group that this process is not in."""

    NON_GROUP_MEMBER: ClassVar[int] = -100


# ------------------------------------------------------------------------------------------------ setup and teardown


def is_initialized() -> bool:
    """Whether there is a group of all processes."""
    return groups.default is not None


def default_group() -> ProcessGroup:
    """The group of all processes. ValueError before `init_process_group`."""
    if groups.default is None:
        raise ValueError(
            "Default process group has not been initialized, please make sure to call init_process_group."
            + ("" if is_available() else f" {INSTALL}")
        )
    return groups.default


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: object = None,
    group_name: str = "",
    pg_options: object = None,
    device_id: object = None,
    _ranks: list[int] | None = None,
) -> None:
    """Create the group of all processes that ``mpiexec`` has started, or of this one alone.

    The backends "mpi" and "gloo" both mean MPI, which knows all processes: `init_method` and `store` are accepted but not
    needed. With `rank`, the processes are ordered by it.

    ImportError without mpi4py. ValueError for a second call, and for a `world_size` that is not the number of processes.
    RuntimeError for an unavailable backend.
    """
    if groups.default is not None:
        raise ValueError("trying to initialize the default process group twice!")
    assert store is None or init_method is None, "Cannot specify both init_method and store."
    assert store is None or world_size > 0, "world_size must be positive if using store"
    assert store is None or rank >= 0, "rank must be non-negative if using store"
    name = checked_backend(backend)
    waiting = _checked_timeout(timeout)
    _check_method(init_method)
    all_of_them = mpi().COMM_WORLD
    if world_size not in (-1, all_of_them.size):
        raise ValueError(
            f"world_size is {world_size}, and MPI has started {all_of_them.size} processes: start the program with "
            f"mpiexec -n {world_size} python -m mini_dl, or python -m mini_dl.distributed.run --nproc-per-node {world_size}"
        )
    set_environment()
    comm = all_of_them.Split(0, all_of_them.rank if rank < 0 else rank)
    groups.default = ProcessGroup(comm, list(range(comm.size)), name, waiting, _next_name(), "default_pg")
    stop_all_on_error()
    _parallel_names.processes = lambda: (get_world_size(), get_rank())


def _checked_timeout(timeout: timedelta | None) -> timedelta:
    timeout = default_pg_timeout if timeout is None else timeout
    if not isinstance(timeout, timedelta):
        raise TypeError(f"Expected timeout argument to be of type datetime.timedelta, got {timeout}")
    return timeout


def _check_method(method: str | None) -> None:
    scheme, separator, _ = (method or "env://").partition("://")
    if not separator or scheme not in ("env", "tcp", "file"):
        raise RuntimeError(f"No rendezvous handler for {scheme if separator else ''}://")


def _next_name() -> str:
    groups.count += 1
    return str(groups.count - 1)


def destroy_process_group(group: Group = None) -> None:
    """Undo `new_group`; without `group`, or for the world group, undo all groups. All ranks of the group must call it."""
    if group == GroupMember.NON_GROUP_MEMBER:
        return
    group = groups.default if group is None else group
    assert group is not None, "Process group cannot be None"
    if not isinstance(group, ProcessGroup) or (group is not groups.default and group.group_name not in groups.made):
        raise ValueError("Invalid process group specified")
    if group is groups.default:
        for each in groups.made.values():
            each.free()
        groups.made.clear()
        groups.default, groups.count = None, 0
    else:
        del groups.made[group.group_name]
    group.free()


# ------------------------------------------------------------------------------------------------ smaller groups


def new_group(
    ranks: list[int] | None = None, timeout: timedelta | None = None, backend: str | None = None, pg_options: object = None,
    use_local_synchronization: bool = False, group_desc: str | None = None, device_id: object = None, sort_ranks: bool = True,
) -> ProcessGroup | int | None:  # fmt: skip
    """A group of some processes, by their `ranks`. All processes, including non-members, call this in the same order;
    non-members get ``GroupMember.NON_GROUP_MEMBER``.

    With `use_local_synchronization`, only its members need to call it; the others get None.
    """
    world = default_group()
    name = checked_backend(backend) if backend else world.backend
    waiting = _checked_timeout(timeout)
    if use_local_synchronization and ranks is not None and world.rank() not in ranks:
        return None
    chosen = _checked_ranks(ranks, world.size(), sort_ranks)
    group_name = "-".join(map(str, chosen)) if use_local_synchronization else _next_name()
    if world.rank() not in chosen:
        return GroupMember.NON_GROUP_MEMBER
    tag = crc32(group_name.encode()) % ASSIGNED
    members = world.comm.Get_group().Incl(chosen)
    comm = world.comm.Create_group(members, tag)
    members.Free()
    made = ProcessGroup(comm, chosen, name, waiting, group_name, group_desc)
    groups.made[group_name] = made
    return made


def _checked_ranks(ranks: list[int] | None, size: int, in_order: bool) -> list[int]:
    if ranks is None:
        return list(range(size))
    chosen = sorted(ranks) if in_order else list(ranks)
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"ranks list must not contain duplicate entries, got {chosen}")
    if len(chosen) > size:
        raise ValueError("the new group's world size should be less or equal to the world size set by init_process_group")
    for rank in chosen:
        if not 0 <= rank < size:
            raise ValueError(f"Rank {rank} is out of range. Valid ranks are 0 to {size - 1} (world_size={size})")
    return chosen


def new_subgroups(
    group_size: int | None = None,
    group: Group = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: object = None,
    group_desc: str | None = None,
) -> tuple[Group, list[Group]]:
    """The group's ranks in subgroups of `group_size`: this process's subgroup, and all of them."""
    if group_size is None:
        raise ValueError("group_size must be given: there are no devices to count")
    size = get_world_size(group)
    if group_size <= 0:
        raise ValueError(f"The arg 'group_size' ({group_size}) must be positive")
    if size < group_size:
        raise ValueError(f"The arg 'group_size' ({group_size}) must not exceed the world size ({size})")
    if size % group_size:
        raise ValueError(f"The world size ({size}) must be divisible by 'group_size={group_size!r}'")
    ranks = get_process_group_ranks(group)
    parts = [ranks[i : i + group_size] for i in range(0, size, group_size)]
    return new_subgroups_by_enumeration(parts, timeout, backend, pg_options, group_desc)


def new_subgroups_by_enumeration(
    ranks_per_subgroup_list: list[list[int]],
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: object = None,
    group_desc: str | None = None,
) -> tuple[Group, list[Group]]:
    """Disjoint groups of these ranks: this process's group (or None), and all of them."""
    if not ranks_per_subgroup_list:
        raise ValueError("The arg 'ranks_per_subgroup_list' cannot be empty")
    mine, made, seen = None, [], dict[int, list[int]]()
    for ranks in ranks_per_subgroup_list:
        made.append(new_group(ranks, timeout, backend, pg_options, group_desc=group_desc))
        for rank in ranks:
            if rank in seen:
                raise ValueError(f"Rank {rank} has appeared in both subgroup {seen[rank]} and {ranks}")
            seen[rank] = ranks
        if get_rank() in ranks:
            mine = made[-1]
    return mine, made


# ------------------------------------------------------------------------------------------------ ranks


def get_rank(group: Group = None) -> int:
    """The rank of this process in the group (default: world); -1 if it is not in it."""
    return -1 if group == GroupMember.NON_GROUP_MEMBER else chosen_group(group).rank()


def get_world_size(group: Group = None) -> int:
    """The number of processes in the group (default: world); -1 if this one is not in it."""
    return -1 if group == GroupMember.NON_GROUP_MEMBER else chosen_group(group).size()


def get_process_group_ranks(group: Group) -> list[int]:
    """The global ranks of the group's processes."""
    return list(chosen_group(group).ranks)


def get_group_rank(group: Group, global_rank: int) -> int:
    """The rank in the group of the process with `global_rank`. ValueError if it is not in it."""
    if group is groups.default:
        return global_rank
    ranks = _registered(group).ranks
    if global_rank not in ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return int(ranks.index(global_rank))


def get_global_rank(group: Group, group_rank: int) -> int:
    """The global rank of the process with `group_rank` in the group. ValueError if there is none."""
    if group is groups.default:
        return group_rank
    ranks = _registered(group).ranks
    if not 0 <= group_rank < len(ranks):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return int(ranks[group_rank])


def _registered(group: Group) -> ProcessGroup:
    if not isinstance(group, ProcessGroup) or groups.made.get(group.group_name) is not group:
        raise ValueError(f"Group {group} is not registered, please create group with torch.distributed.new_group API")
    return group


def chosen_group(group: Group) -> ProcessGroup:
    """The group that an argument denotes: None for the world group."""
    if group is None:
        return default_group()
    if not isinstance(group, ProcessGroup):
        raise ValueError(f"Group {group} is not registered, please create group with torch.distributed.new_group API")
    return group


def member(group: Group, doing: str) -> ProcessGroup | None:
    """The group that an argument denotes; None, with a warning, if this process is not in it."""
    if group == GroupMember.NON_GROUP_MEMBER:
        rank = -1 if groups.default is None else groups.default.rank()
        warnings.warn(f"Running {doing} on global rank {rank} which does not belong to the given group.", stacklevel=3)
        return None
    return chosen_group(group)


def rank_in(group: ProcessGroup, global_rank: int | None, group_rank: int | None, default: int | None = None) -> int:
    """The rank in the group, given as group or global rank."""
    if group_rank is not None:
        if global_rank is not None:
            raise ValueError("Can't specify both group_rank and global_rank")
        return group_rank
    global_rank = default if global_rank is None else global_rank
    if global_rank is None:
        raise ValueError("Must specify global_rank or group_rank")
    return get_group_rank(group, global_rank)


def get_backend(group: Group = None) -> str:
    """The name under which the group's backend was requested."""
    return Backend(_member_or_error(group).backend)


def get_backend_config(group: Group = None) -> str:
    """The backends of the group by device."""
    backend = _member_or_error(group).backend
    return backend if ":" in backend else f"cpu:{backend}"


def _member_or_error(group: Group) -> ProcessGroup:
    if group == GroupMember.NON_GROUP_MEMBER:
        raise ValueError("Invalid process group specified")
    return chosen_group(group)


def get_pg_count() -> int:
    """The number of groups."""
    return len(groups.made) + (groups.default is not None)


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """The rank of this process on its machine, from the environment. RuntimeError if it is not set and there is no fallback."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is not None:
        return int(fallback_rank)
    raise RuntimeError(
        "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow `get_node_local_rank` to work, assuming "
        "you are not running in a multi-device context and want the code to run locally instead."
    )
