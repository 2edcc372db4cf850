"""Networks of affine layers: any number of hidden layers, one hidden layer, none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from mini_dl import Tensor, nn

Activation = Callable[[], nn.Module]
ACTIVATIONS: dict[str, Activation] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "identity": nn.Identity}
GAINS = {"he": "relu", "xavier": "linear"}
"""std = gain / sqrt(inputs), the gain being sqrt(2) for "he" and 1 for "xavier"."""

Rule = str | float | Callable[[Tensor], Any]


def fill_weights(model: nn.Module, rule: Rule) -> None:
    """Weights of affine and convolutional layers by a rule, in the order of the layers; biases 0.

    - a number: N(0, rule^2)
    - "he": N(0, 2 / n) for n inputs (https://arxiv.org/abs/1502.01852)
    - "xavier": N(0, 1 / n) (Glorot and Bengio 2010, section 4.2); `nn.init.xavier_normal_` counts the outputs as well
    - a function such as ``nn.init.orthogonal_``: called with each weight

    ValueError for another name.

    >>> import mini_dl as torch
    >>> from mini_dl.models import fill_weights
    >>> layer = torch.nn.Linear(10_000, 10)
    >>> fill_weights(layer, "xavier")
    >>> round(layer.weight.std().item(), 3)
    0.01
    """
    if isinstance(rule, str) and rule not in GAINS:
        raise ValueError(f"weight_init should be a number, a function or one of {list(GAINS)}, got {rule!r}")
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            if isinstance(rule, str):
                nn.init.kaiming_normal_(module.weight, nonlinearity=GAINS[rule])
            elif callable(rule):
                rule(module.weight)
            else:
                nn.init.normal_(module.weight, 0, rule)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class MultiLayerNet(nn.Sequential):
    """Hidden layers of affine, optional batch normalization, activation, optional dropout; then an affine layer.

    (N, ...) -> (N, output_size): a sample of any shape is flattened to a vector of `input_size` numbers. The results are scores:
    `nn.CrossEntropyLoss` includes the softmax. Weight decay is up to the optimizer.

    - activation: "relu", "sigmoid", "tanh", "identity", or a factory of a module. ValueError for another name.
    - weight_init: see `fill_weights`.
    - dropout: the probability of dropping a unit; 0 for none.

    >>> import mini_dl as torch
    >>> from mini_dl.models import MultiLayerNet
    >>> model = MultiLayerNet(4, [5], 3, batch_norm=True, dropout=0.5)
    >>> model
    MultiLayerNet(
      (flatten): Flatten(start_dim=1, end_dim=-1)
      (affine1): Linear(in_features=4, out_features=5, bias=True)
      (batch_norm1): BatchNorm1d(5, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
      (activation1): ReLU()
      (dropout1): Dropout(p=0.5, inplace=False)
      (affine2): Linear(in_features=5, out_features=3, bias=True)
    )
    >>> model(torch.ones(2, 1, 2, 2)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        input_size: int,
        hidden_sizes: Sequence[int],
        output_size: int,
        activation: str | Activation = "relu",
        weight_init: Rule = "he",
        batch_norm: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise ValueError(f"activation should be a function or one of {list(ACTIVATIONS)}, got {activation!r}")
        activate = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        sizes = [input_size, *hidden_sizes]
        self.add_module("flatten", nn.Flatten())
        for i, (inputs, outputs) in enumerate(pairwise(sizes), 1):
            self.add_module(f"affine{i}", nn.Linear(inputs, outputs, bias))
            if batch_norm:
                self.add_module(f"batch_norm{i}", nn.BatchNorm1d(outputs))
            self.add_module(f"activation{i}", activate())
            if dropout > 0:
                self.add_module(f"dropout{i}", nn.Dropout(dropout))
        self.add_module(f"affine{len(sizes)}", nn.Linear(sizes[-1], output_size, bias))
        fill_weights(self, weight_init)


class TwoLayerNet(MultiLayerNet):
    """One hidden layer: affine, activation, affine. (N, ...) -> (N, output_size).

    >>> from mini_dl.models import TwoLayerNet
    >>> [tuple(p.shape) for p in TwoLayerNet(784, 50, 10).parameters()]
    [(50, 784), (50,), (10, 50), (10,)]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        activation: str | Activation = "relu",
        weight_init: Rule = 0.01,
    ) -> None:
        super().__init__(input_size, [hidden_size], output_size, activation, weight_init)


class SimpleNet(MultiLayerNet):
    """Six weights, of N(0, 1), and nothing else: scores of three classes from two numbers, x W. (N, 2) -> (N, 3).

    >>> from mini_dl.models import SimpleNet
    >>> [tuple(p.shape) for p in SimpleNet().parameters()]
    [(3, 2)]
    """

    def __init__(self) -> None:
        super().__init__(2, [], 3, weight_init=1.0, bias=False)
