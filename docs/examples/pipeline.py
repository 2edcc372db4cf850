"""A network whose layers are in several processes: each sends its output to the next, and gradients back.

    mpiexec -n 2 python -m mini_dl docs/examples/pipeline.py

Every batch is split into micro-batches. All go forward, then all go backward (GPipe: Huang et al. 2019, NeurIPS, section 2.2);
while one rank computes a micro-batch, the next one computes the one before it.
"""

import torch
import torch.distributed as dist
from torch import nn

WIDTH, CLASSES, SMALL = 16, 3, 4

dist.init_process_group("gloo")
rank, last = dist.get_rank(), dist.get_world_size() - 1

torch.manual_seed(rank)
stage = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) if rank < last else nn.Linear(WIDTH, CLASSES)
optimizer = torch.optim.SGD(stage.parameters(), lr=0.5)

draws = torch.Generator().manual_seed(0)
inputs = torch.randn(32, WIDTH, generator=draws)
labels = inputs[:, :CLASSES].argmax(1)

for step in range(30):
    optimizer.zero_grad()
    received, results, losses = [], [], []
    for x, y in zip(inputs.split(SMALL), labels.split(SMALL)):
        if rank > 0:
            x = torch.empty(SMALL, WIDTH)
            dist.recv(x, rank - 1)
            x.requires_grad_()
        output = stage(x)
        if rank < last:
            dist.send(output.detach(), rank + 1)
        else:
            losses.append(nn.functional.cross_entropy(output, y) * SMALL / len(inputs))
        received.append(x)
        results.append(output)
    for number, (x, output) in enumerate(zip(received, results)):
        if rank < last:
            gradient = torch.empty_like(output)
            dist.recv(gradient, rank + 1)
            output.backward(gradient)
        else:
            losses[number].backward()
        if rank > 0:
            dist.send(x.grad, rank - 1)
    optimizer.step()
    if rank == last and step % 10 == 9:
        print(step + 1, f"{sum(loss.item() for loss in losses):.4f}", flush=True)

dist.destroy_process_group()
