"""The memory of tensors: ``torch.storage``."""

from mini_dl.ops.attributes import UntypedStorage as UntypedStorage
from mini_dl.ops.storages import TypedStorage as TypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]
