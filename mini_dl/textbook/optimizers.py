"""Optimizers as the notes write them: `update(params, grads)` takes two dictionaries of arrays with the same names.

The arrays of `params` are changed in place, so that the layers of a network see it. `g` is the
gradient of the step, `p` the parameter, `lr` the learning rate. Where a formula is not torch's, its
docstring says in what.
"""

from __future__ import annotations

import math

import numpy as np

from mini_dl.textbook.tensors import Array


class SGD:
    """Stochastic gradient descent: a step against the gradient of a mini-batch.

    p <- p - lr g

    The same as `torch.optim.SGD(params, lr)`. In a long narrow valley it goes to and fro
    between the walls, since the gradient does not point to the minimum.

    Source: Robbins and Monro 1951.

    >>> params = {"w": np.array([1.0, 2.0])}
    >>> SGD(lr=0.1).update(params, {"w": np.array([10.0, -10.0])})
    >>> params["w"]
    array([0., 3.])
    """

    def __init__(self, lr: float = 0.01) -> None:
        self.lr = lr

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        for name, g in grads.items():
            params[name] -= self.lr * g


class Momentum:
    """SGD with a velocity: a ball that rolls down the slope, with friction.

    v <- momentum v - lr g, p <- p + v; v begins at 0

    Where it differs from torch: `torch.optim.SGD(params, lr, momentum)` keeps u <- momentum u +
    g and steps by p <- p - lr u. With a constant rate v = -lr u, and the steps are equal. When
    the rate changes, the past steps in v keep the rate they were made with, those in u take the
    new one.

    Source: Polyak 1964; Sutskever et al. 2013, equations 1 and 2.

    >>> params, optimizer = {"w": np.array([0.0])}, Momentum(lr=0.1, momentum=0.9)
    >>> for _ in range(3):
    ...     optimizer.update(params, {"w": np.array([-1.0])})
    ...     print(params["w"].round(3), optimizer.v["w"].round(3))
    [0.1] [0.1]
    [0.29] [0.19]
    [0.561] [0.271]
    """

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        self.lr, self.momentum = lr, momentum
        self.v: dict[str, Array] = {}

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        for name, g in grads.items():
            params[name] += self.velocity(name, g)

    def velocity(self, name: str, g: Array) -> Array:
        """The new one: it becomes what is kept."""
        past = self.v.get(name, np.zeros_like(g))
        self.v[name] = self.momentum * past - self.lr * g
        return self.v[name]


class Nesterov(Momentum):
    """Momentum that looks ahead: the gradient counts where the velocity is about to lead.

    v <- momentum v - lr g, p <- p + momentum v - lr g, with the new v in the second

    In the paper the gradient is taken at p + momentum v. What is kept here as p is that very
    point, so the gradient can be taken at p as everywhere else; the two run over the same
    points.

    Where it differs from torch: as `Momentum` does. `torch.optim.SGD(params, lr, momentum,
    nesterov=True)` makes equal steps while the rate is constant.

    Source: Nesterov 1983; Sutskever et al. 2013, equations 3 and 4; Bengio et al. 2013, section
        3.5.

    >>> params = {"w": np.array([0.0])}
    >>> Nesterov(lr=0.1, momentum=0.9).update(params, {"w": np.array([-1.0])})
    >>> params["w"].round(3)
    array([0.19])
    """

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        for name, g in grads.items():
            params[name] += self.momentum * self.velocity(name, g) - self.lr * g


class AdaGrad:
    """A rate of its own for every number: what has moved much moves less from then on.

    h <- h + g^2, p <- p - lr g / (sqrt(h) + 1e-7); h begins at 0

    All squares are kept, so the steps shrink forever.

    Where it differs from torch: `torch.optim.Adagrad(params, lr)` adds 1e-10 to the root and
    not 1e-7. With `eps=1e-7` there, the steps are equal.

    Source: Duchi, Hazan and Singer 2011.

    >>> params, optimizer = {"w": np.array([0.0])}, AdaGrad(lr=0.1)
    >>> for _ in range(3):
    ...     optimizer.update(params, {"w": np.array([-5.0])})
    ...     print(params["w"].round(3))
    [0.1]
    [0.171]
    [0.228]
    """

    def __init__(self, lr: float = 0.01) -> None:
        self.lr = lr
        self.h: dict[str, Array] = {}

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        for name, g in grads.items():
            self.h[name] = self.h.get(name, np.zeros_like(g)) + g * g
            params[name] -= self.lr * g / (np.sqrt(self.h[name]) + 1e-7)


class RMSProp:
    """AdaGrad that forgets: a moving average of the squares instead of their sum.

    h <- decay_rate h + (1 - decay_rate) g^2, p <- p - lr g / (sqrt(h) + 1e-7); h begins at 0

    Where it differs from torch: `torch.optim.RMSprop(params, lr, alpha=decay_rate)` adds 1e-8
    to the root and not 1e-7. With `eps=1e-7` there, the steps are equal.

    Source: Tieleman and Hinton 2012, lecture 6.5.

    >>> params, optimizer = {"w": np.array([0.0])}, RMSProp(lr=0.01, decay_rate=0.99)
    >>> optimizer.update(params, {"w": np.array([-5.0])})
    >>> params["w"].round(3)
    array([0.1])
    """

    def __init__(self, lr: float = 0.01, decay_rate: float = 0.99) -> None:
        self.lr, self.decay_rate = lr, decay_rate
        self.h: dict[str, Array] = {}

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        for name, g in grads.items():
            past = self.h.get(name, np.zeros_like(g))
            self.h[name] = self.decay_rate * past + (1 - self.decay_rate) * g * g
            params[name] -= self.lr * g / (np.sqrt(self.h[name]) + 1e-7)


class Adam:
    """Momentum and RMSProp together: averages of the gradient and of its square, freed of their bias toward 0.

    t <- t + 1, m <- m + (1 - beta1) (g - m), v <- v + (1 - beta2) (g^2 - v)
    lr_t = lr sqrt(1 - beta2^t) / (1 - beta1^t), p <- p - lr_t m / (sqrt(v) + 1e-7)

    t, m and v begin at 0.

    Where it differs from torch: this is the second form of the paper (end of section 2), which
    takes the bias out of the rate; `torch.optim.Adam` takes it out of m and v. The two differ
    in what is added to the root, and only there: 1e-7 here weighs as much as
    `eps=1e-7 / sqrt(1 - beta2^t)` there, 3.2e-6 in the first step and 1e-7 in the end. torch's default is 1e-8.

    Source: Kingma and Ba 2015.

    >>> params, optimizer = {"w": np.array([0.0, 0.0])}, Adam(lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.update(params, {"w": np.array([-5.0, 0.01])})
    ...     print(params["w"].round(3))
    [ 0.1 -0.1]
    [ 0.2 -0.2]
    """

    def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999) -> None:
        self.lr, self.beta1, self.beta2 = lr, beta1, beta2
        self.t = 0
        self.m: dict[str, Array] = {}
        self.v: dict[str, Array] = {}

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        self.t += 1
        lr_t = self.lr * math.sqrt(1 - self.beta2**self.t) / (1 - self.beta1**self.t)
        for name, g in grads.items():
            m, v = self.m.get(name, np.zeros_like(g)), self.v.get(name, np.zeros_like(g))
            self.m[name] = m + (1 - self.beta1) * (g - m)
            self.v[name] = v + (1 - self.beta2) * (g * g - v)
            params[name] -= lr_t * self.m[name] / (np.sqrt(self.v[name]) + 1e-7)


class Rprop:
    """Resilient propagation: steps whose length depends on the signs of the gradients alone.

    where g and the g before have one sign:    step <- min(1.2 step, 50),   p <- p - sign(g) step
    where they have different signs:           step <- max(0.5 step, 1e-6), p stays, and g counts as 0
    where one of them is 0:                    p <- p - sign(g) step

    The same as `torch.optim.Rprop(params, lr)`, whose `lr` is the first step. It needs the gradient of all examples: that
    of a mini-batch changes its sign by chance.

    Source: Riedmiller and Braun 1993.

    >>> params, optimizer = {"w": np.array([1.0])}, Rprop(lr=0.1)
    >>> for g in (3.0, 0.01, -1.0):
    ...     optimizer.update(params, {"w": np.array([g])})
    ...     print(params["w"].round(3), optimizer.step["w"].round(3))
    [0.9] [0.1]
    [0.78] [0.12]
    [0.78] [0.06]
    """

    def __init__(self, lr: float = 0.01) -> None:
        self.lr = lr
        self.step: dict[str, Array] = {}
        self.before: dict[str, Array] = {}

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        for name, g in grads.items():
            step = self.step.get(name, np.full_like(g, self.lr))
            agree = np.sign(g * self.before.get(name, np.zeros_like(g)))
            step = np.where(agree > 0, step * 1.2, np.where(agree < 0, step * 0.5, step))
            self.step[name] = np.clip(step, 1e-6, 50)
            self.before[name] = np.where(agree < 0, 0, g)
            params[name] -= np.sign(self.before[name]) * self.step[name]


class DeltaBarDelta:
    """A learning rate for each weight, which the signs of successive gradients raise and lower.

    mean <- theta mean + (1 - theta) g, a fading mean of the gradients; before this,
    where g and the mean have one sign:        rate <- rate + kappa
    where they have different signs:           rate <- phi rate
    p <- p - rate g

    Rates grow slowly, by addition, and shrink fast, by a factor: a weight that overshoots is stopped at once.
    torch has no such optimizer.

    Source: Jacobs 1988.

    >>> params, optimizer = {"w": np.array([1.0])}, DeltaBarDelta(lr=0.1, kappa=0.05)
    >>> for g in (1.0, 1.0, -1.0):
    ...     optimizer.update(params, {"w": np.array([g])})
    ...     print(params["w"].round(3), optimizer.rate["w"].round(3))
    [0.9] [0.1]
    [0.75] [0.15]
    [0.825] [0.075]
    """

    def __init__(self, lr: float = 0.01, kappa: float = 0.01, phi: float = 0.5, theta: float = 0.7) -> None:
        self.lr, self.kappa, self.phi, self.theta = lr, kappa, phi, theta
        self.rate: dict[str, Array] = {}
        self.mean: dict[str, Array] = {}

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        for name, g in grads.items():
            rate, mean = self.rate.get(name, np.full_like(g, self.lr)), self.mean.get(name, np.zeros_like(g))
            agree = np.sign(g * mean)
            self.rate[name] = np.where(agree > 0, rate + self.kappa, np.where(agree < 0, rate * self.phi, rate))
            self.mean[name] = self.theta * mean + (1 - self.theta) * g
            params[name] -= self.rate[name] * g


def growing_momentum(epoch: int, epochs: int, first: float = 0.5, last: float = 0.99) -> float:
    """The momentum of an epoch, counted from 0: it grows evenly from `first` to `last`.

    first + (last - first) epoch / (epochs - 1)

    At first the gradients change their direction from step to step, and what is remembered of them would only push the
    weights about. Later they agree, and a long memory is what carries on along the valley.

    Source: Sutskever et al. 2013, section 3.

    >>> [round(growing_momentum(epoch, 5), 4) for epoch in range(5)]
    [0.5, 0.6225, 0.745, 0.8675, 0.99]
    """
    return first + (last - first) * epoch / max(1, epochs - 1)
