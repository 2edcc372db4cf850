"""All of ``torch.distributed`` under the name of the file where torch defines it, with the internals that programs use."""

from mini_dl.distributed import *  # noqa: F403
from mini_dl.distributed.backends import Backend as Backend
from mini_dl.distributed.groups import (
    Group,
    ProcessGroup as ProcessGroup,
    chosen_group,
    default_group as _get_default_group,
    groups,
)
from mini_dl.distributed.stores import rendezvous as rendezvous


def _rank_not_in_group(group: Group) -> bool:
    """Whether this process is not in the group."""
    return group is not None and not isinstance(group, ProcessGroup)


def _get_process_group_name(pg: ProcessGroup) -> str:
    """The name of a group."""
    return pg.group_name


def _resolve_process_group(group_name: str) -> ProcessGroup:
    """The group of this name."""
    default = _get_default_group()
    return default if default.group_name == group_name else groups.made[group_name]


def _get_group_size(group: Group) -> int:
    """The number of processes in a group."""
    return chosen_group(group).size()
