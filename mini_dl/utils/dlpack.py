"""Exchange of tensors with other libraries by the DLPack protocol: ``torch.utils.dlpack``."""

from mini_dl._signatures import show as _show
from mini_dl.ops.interop import from_dlpack as from_dlpack, to_dlpack as to_dlpack

_show(from_dlpack)
_show(to_dlpack)
