"""pytorch-metric-learning: losses on distances between embeddings."""

import torch
from pytorch_metric_learning import losses, miners

from programs.case import CASES, Case

LOSSES = """TripletMarginLoss ContrastiveLoss MultiSimilarityLoss NTXentLoss CircleLoss SupConLoss LiftedStructureLoss NPairsLoss
SignalToNoiseRatioContrastiveLoss FastAPLoss AngularLoss GeneralizedLiftedStructureLoss IntraPairVarianceLoss
MarginLoss TupletMarginLoss""".split()
PROXIES = "ArcFaceLoss CosFaceLoss NormalizedSoftmaxLoss ProxyNCALoss ProxyAnchorLoss SoftTripleLoss SphereFaceLoss".split()


def loss(name, build):
    def run():
        made = build()
        x = torch.randn(12, 8, requires_grad=True)
        value = made(x, torch.arange(12) % 4)
        value.backward()
        return {"loss": value, "gradient": x.grad, "parameters": [p.grad for p in made.parameters()]}

    CASES[name] = Case(run)


for name in LOSSES:
    loss(name, getattr(losses, name))
for name in PROXIES:
    loss(name, lambda name=name: getattr(losses, name)(num_classes=4, embedding_size=8))


def mined():
    x, y = torch.randn(12, 8), torch.arange(12) % 4
    return {
        "pairs": miners.MultiSimilarityMiner()(x, y),
        "triplets": miners.TripletMarginMiner(type_of_triplets="semihard")(x, y),
    }


CASES["miners"] = Case(mined)
