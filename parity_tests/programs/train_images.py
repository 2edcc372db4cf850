"""Train a small residual network on images, with checkpoints to resume from."""

import argparse
import os
import time

import numpy as np
import torch
import torch.backends.cudnn as cudnn
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser(description="Image classification")
parser.add_argument("--lr", default=0.05, type=float, help="learning rate")
parser.add_argument("--epochs", default=2, type=int)
parser.add_argument("--batch-size", default=16, type=int)
parser.add_argument("--seed", default=1, type=int)
parser.add_argument("--checkpoint", default="./checkpoint")
parser.add_argument("--resume", "-r", action="store_true", help="resume from checkpoint")
args = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
best_acc = 0
start_epoch = 0

torch.manual_seed(args.seed)
np.random.seed(args.seed)


class Shapes(Dataset):
    """Bars and squares with noise."""

    def __init__(self, size, transform=None):
        self.targets = np.random.randint(0, 4, size)
        self.data = np.random.randn(size, 12, 12, 3).astype(np.float32) * 0.3
        for image, target in zip(self.data, self.targets):
            x, y = np.random.randint(0, 8, 2)
            if target == 0:
                image[x, :, 0] += 1
            elif target == 1:
                image[:, y, 1] += 1
            elif target == 2:
                image[x : x + 4, y : y + 4] += 1
            else:
                image[x : x + 4, y : y + 4, 2] -= 1
        self.transform = transform

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image, target = self.data[index], int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        return image, target


def to_tensor(image):
    return torch.from_numpy(image.transpose(2, 0, 1).copy())


trainloader = DataLoader(Shapes(96, to_tensor), batch_size=args.batch_size, shuffle=True, num_workers=0, pin_memory=False)
testloader = DataLoader(Shapes(48, to_tensor), batch_size=24, shuffle=False)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_planes, planes, stride=1):
        super(BasicBlock, self).__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != self.expansion * planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, self.expansion * planes, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(self.expansion * planes),
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        out = F.relu(out)
        return out


class ResNet(nn.Module):
    def __init__(self, block, num_blocks, num_classes=4):
        super(ResNet, self).__init__()
        self.in_planes = 8
        self.conv1 = nn.Conv2d(3, 8, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = self._make_layer(block, 8, num_blocks[0], stride=1)
        self.layer2 = self._make_layer(block, 16, num_blocks[1], stride=2)
        self.linear = nn.Linear(16 * block.expansion, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def _make_layer(self, block, planes, num_blocks, stride):
        strides = [stride] + [1] * (num_blocks - 1)
        layers = []
        for stride in strides:
            layers.append(block(self.in_planes, planes, stride))
            self.in_planes = planes * block.expansion
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer2(self.layer1(out))
        out = F.avg_pool2d(out, 6)
        out = out.view(out.size(0), -1)
        return self.linear(out)


print("==> Building model..")
net = ResNet(BasicBlock, [1, 1])
net = net.to(device)
if device == "cuda":
    net = torch.nn.DataParallel(net)
    cudnn.benchmark = True

criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)

if args.resume:
    print("==> Resuming from checkpoint..")
    assert os.path.isdir(args.checkpoint), "Error: no checkpoint directory found!"
    checkpoint = torch.load(os.path.join(args.checkpoint, "ckpt.pth"), map_location=device)
    net.load_state_dict(checkpoint["net"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    torch.set_rng_state(checkpoint["rng"])
    best_acc = checkpoint["acc"]
    start_epoch = checkpoint["epoch"] + 1


class AverageMeter(object):
    def __init__(self):
        self.sum, self.count = 0, 0

    def update(self, val, n=1):
        self.sum += val * n
        self.count += n

    @property
    def avg(self):
        return self.sum / self.count


def train(epoch):
    print("\nEpoch: %d" % epoch)
    net.train()
    losses, top1 = AverageMeter(), AverageMeter()
    end = time.time()
    for batch_idx, (inputs, targets) in enumerate(trainloader):
        inputs, targets = inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        _, predicted = outputs.max(1)
        losses.update(loss.item(), inputs.size(0))
        top1.update(predicted.eq(targets).float().mean().item(), inputs.size(0))
        if batch_idx % 2 == 0:
            print("[%d/%d] Loss: %.4f | Acc: %.3f" % (batch_idx, len(trainloader), losses.avg, top1.avg))
    assert time.time() >= end


def test(epoch):
    global best_acc
    net.eval()
    test_loss, correct, total = 0, 0, 0
    with torch.no_grad():
        for inputs, targets in testloader:
            inputs, targets = inputs.to(device), targets.to(device)
            outputs = net(inputs)
            test_loss += criterion(outputs, targets).item()
            _, predicted = outputs.max(1)
            total += targets.size(0)
            correct += predicted.eq(targets).sum().item()
    acc = 100.0 * correct / total
    print("Test loss: {:.4f} lr: {:.5f}".format(test_loss / len(testloader), optimizer.param_groups[0]["lr"]))
    print("Saving..")
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(),
        "acc": acc,
        "epoch": epoch,
    }
    if not os.path.isdir(args.checkpoint):
        os.mkdir(args.checkpoint)
    torch.save(state, os.path.join(args.checkpoint, "ckpt.pth"))
    best_acc = max(acc, best_acc)


if __name__ == "__main__":
    print("parameters: {}".format(sum(p.numel() for p in net.parameters() if p.requires_grad)))
    for epoch in range(start_epoch, start_epoch + args.epochs):
        train(epoch)
        test(epoch)
        scheduler.step()
    print(net.linear)
