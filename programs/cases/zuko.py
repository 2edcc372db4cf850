"""zuko: normalizing flows."""

import torch
import zuko

from programs.case import CASES, Case


def flow(name, build):
    def run():
        made = build()
        x = torch.randn(6, 3)
        loss = -made().log_prob(x).mean()
        loss.backward()
        with torch.no_grad():
            drawn = made().sample((4,))
        return {"loss": loss, "drawn": drawn, "gradients": {name: p.grad for name, p in made.named_parameters()}}

    CASES[name] = Case(run)


flow("maf", lambda: zuko.flows.MAF(3, transforms=2, hidden_features=(16,)))
flow("nsf", lambda: zuko.flows.NSF(3, transforms=1, hidden_features=(16,)))
flow("nice", lambda: zuko.flows.NICE(3, transforms=2, hidden_features=(16,)))
flow("gmm", lambda: zuko.flows.GMM(3, components=2))
flow("sospf", lambda: zuko.flows.SOSPF(3, transforms=1, hidden_features=(16,)))
