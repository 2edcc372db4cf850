"""gpytorch: exact regression with Gaussian processes, and kernels."""

import gpytorch
import torch

from programs.case import CASES, Case, function


@function
def exact_regression():
    class Exact(gpytorch.models.ExactGP):
        def __init__(self, x, y, likelihood):
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

        def forward(self, x):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    x = torch.linspace(0, 1, 20)
    y = torch.sin(x * 6) + 0.1 * torch.randn(20)
    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = Exact(x, y, likelihood)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    marginal = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = -marginal(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    likelihood.eval()
    with torch.no_grad():
        told = likelihood(model(torch.linspace(0, 1, 7)))
    return losses, told.mean, told.variance, model.state_dict()


def kernel(name, build):
    def run():
        made = build()
        x, y = torch.randn(5, 2, requires_grad=True), torch.randn(4, 2)
        k = made(x, y).to_dense()
        k.sum().backward()
        return {"kernel": k, "gradient": x.grad, "parameters": [p.grad for p in made.parameters()]}

    CASES[name] = Case(run)


k = gpytorch.kernels
kernel("rbf", k.RBFKernel)
kernel("matern", lambda: k.MaternKernel(nu=2.5))
kernel("periodic", k.PeriodicKernel)
kernel("polynomial", lambda: k.PolynomialKernel(2))
kernel("linear", k.LinearKernel)
kernel("rq", k.RQKernel)
kernel("sum", lambda: k.ScaleKernel(k.RBFKernel(ard_num_dims=2)) + k.CosineKernel())
