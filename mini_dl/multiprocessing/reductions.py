"""How multiprocessing sends tensors: it moves them to shared memory, and sends its location."""

from __future__ import annotations

import sys
from multiprocessing import resource_sharer as resource_sharer  # before any fork: a child must not inherit half of it
from multiprocessing.reduction import DupFd, ForkingPickler
from typing import Any

from mini_dl.kernels.shared import SharedBytes, attach_descriptor, attach_path, hold, taken
from mini_dl.nn.parameter import Parameter
from mini_dl.tensor import Tensor, when_subclassed

__all__ = ["init_reductions", "rebuild_shared_memory", "reduce_tensor"]


def reduce_tensor(tensor: Tensor) -> Any:
    """The message for a tensor, whose memory becomes shared. RuntimeError for a non-leaf that requires grad."""
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support crossing "
            "process boundaries.  If you just want to transfer the data, call detach() on the tensor before serializing (e.g., "
            "putting it on the queue)."
        )
    return tensor.share_memory_().__reduce_ex__(2)


def reduce_shared_memory(memory: SharedBytes) -> Any:
    """The message for shared memory: its open file or, if it has one, its name."""
    if memory.path is not None:
        hold(memory)
        return rebuild_shared_memory, (memory.path, memory.nbytes)
    if memory.descriptor is None:
        return memory.__reduce_ex__(2)
    return rebuild_shared_memory, (DupFd(memory.descriptor), memory.nbytes)


def rebuild_shared_memory(where: Any, size: int) -> SharedBytes:
    """The memory that `reduce_shared_memory` sent."""
    if isinstance(where, str):
        memory = attach_path(where, size)
        taken(where)
        return memory
    return attach_descriptor(where.detach(), size)


def init_reductions() -> None:
    """Make multiprocessing send tensors of all classes in this way, including classes declared later."""
    ForkingPickler.register(SharedBytes, reduce_shared_memory)
    _register()
    when_subclassed.append(_register)


def _register() -> None:
    classes: list[Any] = [Tensor, Parameter]
    for kind in classes:  # which grows
        ForkingPickler.register(kind, reduce_tensor)
        classes += [sub for sub in type.__subclasses__(kind) if sub not in classes]


if sys.platform == "win32":

    class DupFd:  # type: ignore[no-redef]
        """There are only names."""
