"""torchinfo: tables of layers."""

import torch
from torchinfo import summary

from programs.case import function


@function
def a_convnet():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    )
    made = summary(
        net,
        (2, 1, 8, 8),
        verbose=0,
        dtypes=[torch.float64],
        col_names=("input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable"),
    )
    return str(made), made.total_params, made.total_mult_adds


@function
def a_recurrent_net():
    return str(summary(torch.nn.LSTM(5, 6, num_layers=2), (3, 2, 5), verbose=0, dtypes=[torch.float64]))


@function
def a_transformer():
    return str(
        summary(
            torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(8, 2, 16), 2),
            (3, 2, 8),
            verbose=0,
            dtypes=[torch.float64],
            depth=4,
        )
    )
