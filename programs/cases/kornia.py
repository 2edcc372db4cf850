"""kornia: image processing with gradients."""

import kornia as k
import torch

from programs.case import CASES, Case


def filtered(name, call, channels=3):
    def run():
        x = torch.rand(2, channels, 12, 16, requires_grad=True)
        y = call(x)
        y.square().mean().backward()
        return {"result": y, "gradient": x.grad}

    CASES[name] = Case(run)


filtered("gaussian_blur", lambda x: k.filters.gaussian_blur2d(x, (5, 5), (1.5, 1.5)))
filtered("box_blur", lambda x: k.filters.box_blur(x, (3, 3)))
filtered("median", lambda x: k.filters.median_blur(x, (3, 3)))
filtered("sobel", k.filters.sobel)
filtered("laplacian", lambda x: k.filters.laplacian(x, 3))
filtered("bilateral", lambda x: k.filters.bilateral_blur(x, (3, 3), 0.1, (1.5, 1.5)))
filtered("unsharp", lambda x: k.filters.unsharp_mask(x, (3, 3), (1.0, 1.0)))
filtered("spatial_gradient", k.filters.spatial_gradient)
filtered("hsv", k.color.rgb_to_hsv)
filtered("lab", k.color.rgb_to_lab)
filtered("yuv", k.color.rgb_to_yuv)
filtered("grayscale", k.color.rgb_to_grayscale)
filtered("rotate", lambda x: k.geometry.rotate(x, torch.tensor([30.0, -10.0])))
filtered("resize", lambda x: k.geometry.resize(x, (7, 9)))
filtered("affine", lambda x: k.geometry.warp_affine(x, torch.eye(2, 3)[None].repeat(2, 1, 1) * 1.1, (12, 16)))
filtered("perspective", lambda x: k.geometry.warp_perspective(x, torch.eye(3)[None].repeat(2, 1, 1), (12, 16)))
filtered("harris", lambda x: k.feature.harris_response(x))
filtered("dilation", lambda x: k.morphology.dilation(x, torch.ones(3, 3)))
filtered("equalize", lambda x: k.enhance.adjust_contrast(k.enhance.adjust_gamma(x, 1.5), 0.7))
filtered("ssim", lambda x: k.losses.ssim_loss(x, torch.full_like(x, 0.5), 5))
filtered("focal", lambda x: k.losses.focal_loss(x, torch.zeros(2, 12, 16, dtype=torch.int64), 0.5, reduction="mean"))
