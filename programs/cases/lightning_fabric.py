"""lightning-fabric: a training loop on one device."""

import torch
from lightning_fabric import Fabric, seed_everything

from programs.case import function


@function
def a_loop():
    seed_everything(1, verbose=False)
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    net, optimizer = fabric.setup(net, torch.optim.AdamW(net.parameters(), lr=0.01))
    data = torch.utils.data.TensorDataset(torch.randn(20, 4), torch.randint(2, (20,)))
    loader = fabric.setup_dataloaders(torch.utils.data.DataLoader(data, batch_size=5, shuffle=True))
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        fabric.backward(loss)
        fabric.clip_gradients(net, optimizer, max_norm=0.5)
        optimizer.step()
        losses.append(loss.item())
    return losses, net.state_dict()
