"""timm: many kinds of small image models, on small images."""

import timm
import torch

from programs.case import function, images, model

NETS = """resnet18 resnet26d resnetv2_50 resnext26ts seresnet18 ecaresnet26t res2net50_14w_8s mobilenetv2_035
mobilenetv3_small_050 lcnet_035 tinynet_e mnasnet_small efficientnet_lite0 efficientnet_b0 ghostnet_050 regnetx_002
regnety_002 densenet121 dla46_c hardcorenas_a fbnetc_100 repvgg_a0 cspresnet50 darknet17 vgg11 convnext_atto
convnextv2_atto edgenext_xx_small mobilevit_xxs mobilevitv2_050 poolformer_s12 eca_nfnet_l0 mobileone_s0
mobilenetv4_conv_small repvit_m0_9 starnet_s1 inception_next_atto hgnetv2_b0 ghostnetv2_100 fastvit_t8""".split()
PATCHES = """vit_tiny_patch16_224 deit_tiny_patch16_224 mixer_s32_224 resmlp_12_224 gmlp_ti16_224 cait_xxs24_224
beit_base_patch16_224 eva02_tiny_patch14_224 swin_tiny_patch4_window7_224 xcit_nano_12_p16_224 volo_d1_224 convit_tiny""".split()
FIXED = "coat_lite_tiny pit_ti_224 levit_128s crossvit_tiny_240 visformer_tiny twins_svt_small maxvit_rmlp_pico_rw_256".split()
QUICK = """resnet18 mobilenetv3_small_050 efficientnet_lite0 regnetx_002 convnext_atto ghostnet_050 vit_tiny_patch16_224
mixer_s32_224 mobilevit_xxs lcnet_035""".split()


def made(name, **options):
    return lambda: timm.create_model(name, pretrained=False, num_classes=10, **options)


for name in NETS:
    model(name, made(name), images(64), slow=name not in QUICK)
for name in PATCHES:
    size = 70 if "14" in name else 64 if "window" not in name else 112
    model(name, made(name, img_size=size), images(size), slow=name not in QUICK)
for name in FIXED:
    model(name, made(name), images(int(name.rsplit("_", 1)[1]) if name[-3:].isdigit() else 224, batch=1), slow=True, steps=1)


@function
def schedules():
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler

    net = torch.nn.Linear(4, 2)
    found = []
    for kind in ("sgd", "adamw", "lamb", "lion", "nadamw", "adafactor", "rmsproptf"):
        optimizer = create_optimizer_v2(net, opt=kind, lr=0.01, weight_decay=0.05)
        schedule = CosineLRScheduler(optimizer, t_initial=5, warmup_t=2, warmup_lr_init=1e-4)
        for epoch in range(4):
            schedule.step(epoch)
            optimizer.zero_grad()
            net(torch.ones(3, 4)).square().sum().backward()
            optimizer.step()
            found.append(optimizer.param_groups[0]["lr"])
        found.append(net.weight.detach().clone())
    return found


@function
def losses():
    from timm.data import Mixup
    from timm.loss import AsymmetricLossMultiLabel, BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy

    x, y = torch.randn(4, 5), torch.tensor([0, 2, 4, 1])
    mixed, soft = Mixup(mixup_alpha=0.4, num_classes=5)(torch.randn(4, 3, 8, 8), y)
    return [
        LabelSmoothingCrossEntropy(0.1)(x, y),
        SoftTargetCrossEntropy()(x, soft.to(x.dtype)),
        BinaryCrossEntropy()(x, y),
        AsymmetricLossMultiLabel()(x, torch.nn.functional.one_hot(y, 5)),
        mixed,
        soft,
    ]


@function
def averaged():
    from timm.utils import ModelEmaV2, accuracy

    net = torch.nn.Linear(3, 2)
    ema = ModelEmaV2(net, decay=0.9)
    with torch.no_grad():
        net.weight.add_(1)
    ema.update(net)
    return ema.module.state_dict(), accuracy(torch.randn(6, 5), torch.arange(6) % 5, topk=(1, 3))
