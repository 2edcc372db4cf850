"""Several processes train one model in shared memory, without locks."""

import argparse
import os

import torch
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

parser = argparse.ArgumentParser(description="Hogwild")
parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="input batch size for training (default: 16)")
parser.add_argument("--epochs", type=int, default=3, metavar="N", help="number of epochs to train (default: 3)")
parser.add_argument("--lr", type=float, default=0.1, metavar="LR", help="learning rate (default: 0.1)")
parser.add_argument("--momentum", type=float, default=0.5, metavar="M", help="SGD momentum (default: 0.5)")
parser.add_argument("--seed", type=int, default=1, metavar="S", help="random seed (default: 1)")
parser.add_argument("--num-processes", type=int, default=2, metavar="N", help="how many training processes to use (default: 2)")
parser.add_argument("--losses", action="store_true", help="print the losses, which one process alone has in order")


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(8, 16)
        self.fc2 = nn.Linear(16, 2)

    def forward(self, x):
        return F.log_softmax(self.fc2(F.relu(self.fc1(x))), dim=1)


def dataset():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(160, 8, generator=generator)
    return torch.utils.data.TensorDataset(x, (x[:, 0] + x[:, 1] > 0).long())


def train(rank, args, model, device, dataloader_kwargs):
    torch.manual_seed(args.seed + rank)
    loader = torch.utils.data.DataLoader(dataset(), batch_size=args.batch_size, shuffle=True, **dataloader_kwargs)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    for epoch in range(1, args.epochs + 1):
        model.train()
        for batch_idx, (data, target) in enumerate(loader):
            optimizer.zero_grad()
            output = model(data.to(device))
            loss = F.nll_loss(output, target.to(device))
            loss.backward()
            optimizer.step()
            if args.losses and batch_idx % 5 == 0:
                print("Train Epoch: {}\tLoss: {:.5f}".format(epoch, loss.item()), flush=True)


if __name__ == "__main__":
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    mp.set_start_method("spawn", force=True)

    model = Net().to(device)
    model.share_memory()
    before = F.nll_loss(model(dataset().tensors[0]), dataset().tensors[1]).item()
    print("before: {:.5f}".format(before), flush=True)

    processes = []
    for rank in range(args.num_processes):
        p = mp.Process(target=train, args=(rank, args, model, device, {}))
        p.start()
        processes.append(p)
    for p in processes:
        p.join()
    print("exit codes:", [p.exitcode for p in processes], os.getpid() == mp.current_process().pid)

    after = F.nll_loss(model(dataset().tensors[0]), dataset().tensors[1]).item()
    if args.num_processes == 1:
        print("after: {:.5f}".format(after))
    print("learned in the shared memory:", after < 0.6 * before)
