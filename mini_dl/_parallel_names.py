"""What ``torch.distributed`` says of groups of processes while there is none."""

from __future__ import annotations

from typing import Any, ClassVar


class GroupMember:
    """The group of all processes, of which there is none, and the mark of a process outside a group."""

    WORLD: ClassVar[Any] = None
    NON_GROUP_MEMBER: ClassVar[int] = -100
