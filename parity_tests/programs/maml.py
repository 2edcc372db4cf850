"""Model-agnostic meta-learning of sine waves: gradients of gradients with respect to a dict of parameters."""
import argparse
from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, hidden=20):
        super().__init__()
        self.fc1 = nn.Linear(1, hidden)
        self.fc2 = nn.Linear(hidden, 1)
        nn.init.kaiming_uniform_(self.fc1.weight, nonlinearity='relu')

    def forward(self, x, params=None):
        if params is None:
            params = OrderedDict(self.named_parameters())
        x = F.relu(F.linear(x, params['fc1.weight'], params['fc1.bias']))
        return F.linear(x, params['fc2.weight'], params['fc2.bias'])


def sine_task():
    amplitude = torch.empty(1).uniform_(0.1, 5.0)
    phase = torch.empty(1).uniform_(0, 3.14)

    def sample(k):
        x = torch.rand(k, 1) * 10 - 5
        return x, amplitude * torch.sin(x + phase)

    return sample


def adapt(net, x, y, lr, steps):
    params = OrderedDict(net.named_parameters())
    for _ in range(steps):
        loss = F.mse_loss(net(x, params), y)
        grads = torch.autograd.grad(loss, params.values(), create_graph=True)
        params = OrderedDict((name, p - lr * g) for (name, p), g in zip(params.items(), grads))
    return params


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--iterations', type=int, default=5)
    parser.add_argument('--tasks', type=int, default=3)
    parser.add_argument('--inner-lr', type=float, default=0.01)
    args = parser.parse_args()
    torch.manual_seed(0)
    net = Net()
    meta = torch.optim.Adam(net.parameters(), lr=1e-2)
    for iteration in range(args.iterations):
        meta.zero_grad()
        outer = 0.0
        for _ in range(args.tasks):
            task = sine_task()
            params = adapt(net, *task(10), args.inner_lr, steps=2)
            x, y = task(10)
            outer = outer + F.mse_loss(net(x, params), y)
        outer.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        meta.step()
        print(f'iteration {iteration}: meta loss {outer.item() / args.tasks:.4f}, gradient {norm.item():.3f}')


if __name__ == '__main__':
    main()
