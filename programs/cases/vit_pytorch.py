"""vit-pytorch: variants of the vision transformer."""

import torch  # noqa: F401 - first, as in programs that use it
from vit_pytorch import SimpleViT, ViT
from vit_pytorch.cait import CaiT
from vit_pytorch.cct import CCT
from vit_pytorch.cvt import CvT
from vit_pytorch.deepvit import DeepViT
from vit_pytorch.max_vit import MaxViT
from vit_pytorch.t2t import T2TViT

from programs.case import images, model

SIZE = {"image_size": 32, "patch_size": 8, "num_classes": 5, "dim": 32, "depth": 2, "heads": 2, "mlp_dim": 48}
model("vit", lambda: ViT(**SIZE), images(32))
model("simple", lambda: SimpleViT(**SIZE), images(32))
model("deep", lambda: DeepViT(**SIZE), images(32))
model("cait", lambda: CaiT(**{k: v for k, v in SIZE.items()}, cls_depth=1), images(32))
model(
    "t2t",
    lambda: T2TViT(dim=32, image_size=32, depth=2, heads=2, mlp_dim=48, num_classes=5, t2t_layers=((3, 2), (3, 2))),
    images(32),
)
model(
    "cct",
    lambda: CCT(img_size=32, embedding_dim=32, n_conv_layers=1, num_layers=2, num_heads=2, mlp_ratio=2.0, num_classes=5),
    images(32),
)
model(
    "cvt",
    lambda: CvT(
        num_classes=5, s1_emb_dim=16, s1_depth=1, s2_emb_dim=16, s2_heads=2, s2_depth=1, s3_emb_dim=32, s3_heads=2, s3_depth=1
    ),
    images(64),
)
model("max_vit", lambda: MaxViT(num_classes=5, dim=16, depth=(1, 1), dim_head=8, window_size=4), images(64), slow=True)
