"""Declares torchvision's compiled operators if its library does not match the build of torch; the cases do not call them."""

from __future__ import annotations

from typing import Any

OPERATORS = """nms qnms roi_align qroi_align _roi_align_backward roi_pool _roi_pool_backward ps_roi_align
_ps_roi_align_backward ps_roi_pool _ps_roi_pool_backward deform_conv2d _deform_conv2d_backward""".split()


def declare(torch: Any) -> Any:
    """Declare them, and return the library that holds them."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in OPERATORS:
        library.define(f"{name}() -> Tensor")
    return library
