"""torchdiffeq: differential equations, solved with gradients."""

import torch
from torchdiffeq import odeint, odeint_adjoint

from programs.case import CASES, Case


def solved(method, solver):
    def run():
        net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))

        class Field(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.net = net

            def forward(self, t, y):
                return self.net(y) * torch.cos(t)

        y = torch.randn(3, 2, requires_grad=True)
        path = solver(Field(), y, torch.linspace(0, 1, 4), method=method)
        path.square().sum().backward()
        return {"path": path, "gradient": y.grad, "parameters": [p.grad for p in net.parameters()]}

    return run


for method in ("euler", "midpoint", "rk4", "dopri5", "bosh3", "explicit_adams"):
    CASES[method] = Case(solved(method, odeint))
CASES["adjoint"] = Case(solved("dopri5", odeint_adjoint))
