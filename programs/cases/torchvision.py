"""torchvision: models and transforms that need no compiled operator."""

import torchvision.models as models

from programs.case import images, model

SMALL = """alexnet vgg11 resnet18 squeezenet1_1 densenet121 mobilenet_v2 mobilenet_v3_small mnasnet0_5 shufflenet_v2_x0_5
efficientnet_b0 regnet_y_400mf convnext_tiny"""
for name in SMALL.split():
    model(
        name, lambda name=name: getattr(models, name)(num_classes=10), images(64), slow=name not in ("resnet18", "mobilenet_v2")
    )
model("googlenet", lambda: models.googlenet(num_classes=10, aux_logits=False, init_weights=False), images(96), slow=True)
model(
    "vit",
    lambda: models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=10
    ),
    images(32),
)
model("swin", lambda: models.swin_transformer.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=10), images(64))
