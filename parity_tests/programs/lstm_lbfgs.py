"""Sine waves continued by LSTM cells, trained with L-BFGS; the model is saved whole."""

from __future__ import print_function

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim


class Sequence(nn.Module):
    def __init__(self):
        super(Sequence, self).__init__()
        self.lstm1 = nn.LSTMCell(1, 13)
        self.lstm2 = nn.LSTMCell(13, 13)
        self.linear = nn.Linear(13, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t = torch.zeros(input.size(0), 13, dtype=torch.double)
        c_t = torch.zeros(input.size(0), 13, dtype=torch.double)
        h_t2 = torch.zeros(input.size(0), 13, dtype=torch.double)
        c_t2 = torch.zeros(input.size(0), 13, dtype=torch.double)

        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for i in range(future):
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        return torch.cat(outputs, axis=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2, help="steps to run")
    parser.add_argument("--save", default="model.pt")
    opt = parser.parse_args()
    np.random.seed(0)
    torch.manual_seed(0)
    x = np.empty((6, 20), "int64")
    x[:] = np.array(range(20)) + np.random.randint(-80, 80, 6).reshape(6, 1)
    data = np.sin(x / 1.0 / 4).astype("float64")
    input = torch.from_numpy(data[3:, :-1])
    target = torch.from_numpy(data[3:, 1:])
    test_input = torch.from_numpy(data[:3, :-1])
    test_target = torch.from_numpy(data[:3, 1:])
    seq = Sequence()
    seq.double()
    criterion = nn.MSELoss()
    optimizer = optim.LBFGS(seq.parameters(), lr=0.8, max_iter=4)
    for i in range(opt.steps):
        print("STEP: ", i)

        def closure():
            optimizer.zero_grad()
            out = seq(input)
            loss = criterion(out, target)
            print("loss:", loss.item())
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            pred = seq(test_input, future=5)
            loss = criterion(pred[:, :-5], test_target)
            print("test loss:", loss.item())
            y = pred.detach().numpy()
    torch.save(seq, opt.save)
    again = torch.load(opt.save, weights_only=False)
    print((again(test_input) == seq(test_input)).all().item(), type(again.linear), again)
    print(y[0, -5:])
