"""segmentation-models-pytorch: networks that predict masks, and their losses."""

import segmentation_models_pytorch as smp
import torch

from programs.case import CASES, Case, images, model

for kind in ("Unet", "UnetPlusPlus", "FPN", "Linknet", "PSPNet", "DeepLabV3Plus", "MAnet"):
    model(
        kind,
        lambda kind=kind: getattr(smp, kind)("resnet18", encoder_weights=None, classes=2),
        images(64),
        slow=kind not in ("Unet", "FPN"),
    )


def loss(kind, **options):
    def run():
        x = torch.randn(2, 1, 8, 8, requires_grad=True)
        value = getattr(smp.losses, kind)(**options)(x, torch.randint(2, (2, 1, 8, 8)).to(x.dtype))
        value.backward()
        return {"loss": value, "gradient": x.grad}

    CASES[kind] = Case(run)


for kind in ("DiceLoss", "JaccardLoss", "FocalLoss", "TverskyLoss"):
    loss(kind, mode="binary")
loss("SoftBCEWithLogitsLoss")
