"""pytorch_optimizer: what it has, five steps each on a small network."""

import pytorch_optimizer as o
import torch

from programs.case import CASES, Case

NAMES = """a2grad accsgd adabelief adabound adadelta adafactor adai adamg adamp adams adamod adan adapnm adashift adasmooth
ademamix apollo avagrad came diffgrad fromage gravity grams kate lamb lars lion madgrad mars msvag nero novograd pid
pnm prodigy qhadam qhm radam ranger ranger21 rotograd scalableshampoo sgdp sgdw shampoo signsgd sm3 sophiah srmm swats
tiger yogi stableadamw adopt laprop focus racs vsgd emonavi exadam grokfastadamw dadaptadam dadaptsgd dadaptlion""".split()


def steps(name):
    def run():
        net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
        kind = o.load_optimizer(name)
        options = {"num_iterations": 10} if name == "ranger21" else {}
        optimizer = kind(net.parameters(), lr=1e-2, **options)
        x, y = torch.randn(16, 4), torch.randn(16, 2)
        found = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(net(x), y)
            loss.backward(create_graph=name in ("sophiah", "adahessian"))
            optimizer.step()
            found.append(loss.item())
        return {"losses": found, "parameters": [p.detach() for p in net.parameters()]}

    return run


known = {name.lower() for name in o.get_supported_optimizers()}
for name in NAMES:
    if name in known:
        CASES[name] = Case(steps(name))
