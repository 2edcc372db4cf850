"""pytorch_optimizer: all of its optimizers, five steps each on a small network.

Conda steps along the singular vectors of a gradient, in float32, and SOAP along the eigenvectors of sums of ``g @ g.T``. For a
non-square weight, the vectors of the null space are arbitrary, in any library: so their network is square.
"""

import pytorch_optimizer as o
import torch

from programs.case import CASES, Case

SQUARE = ("conda", "soap")
SINGLE = ("conda",)
NAMES = """a2grad accsgd adabelief adabound adadelta adafactor adai adamg adamp adams adamod adan adapnm adashift adasmooth
ademamix apollo avagrad came diffgrad fromage gravity grams kate lamb lars lion madgrad mars msvag nero novograd pid
pnm prodigy qhadam qhm radam ranger ranger21 rotograd scalableshampoo sgdp sgdw shampoo signsgd sm3 sophiah srmm swats
tiger yogi stableadamw adopt laprop focus racs vsgd emonavi exadam grokfastadamw dadaptadam dadaptsgd dadaptlion soap
adagc adahessian adalite adam adamax adamc adamuon adamw adamwsn adanorm adatam aggmo aida amos ano apollodqn asgd bcos
conda dadaptadagrad dadaptadan dash dualadam emofact emolynx fadam fira flashadamw ftrl galore kron lorarite magma muon nadam
normuon padam rmsprop rose sara schedulefreeadamw schedulefreeradam schedulefreesgd sgd sgdsai simplifiedademamix
spam spectralsphere splus stablespam tam""".split()


def steps(name):
    def run():
        first, inner, last = (6, 6, 6) if name in SQUARE else (4, 8, 2)
        net = torch.nn.Sequential(torch.nn.Linear(first, inner), torch.nn.Tanh(), torch.nn.Linear(inner, last))
        kind = o.load_optimizer(name)
        options = {"num_iterations": 10} if name == "ranger21" else {}
        optimizer = kind(net.parameters(), lr=1e-2, **options)
        x, y = torch.randn(16, first), torch.randn(16, last)
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
        CASES[name] = Case(steps(name), single=name in SINGLE)
