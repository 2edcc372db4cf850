"""The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from mini_dl.autograd.mode import enable_grad, no_grad
from mini_dl.nn._types import Number, Params, StateDict
from mini_dl.ops.complex_numbers import view_as_real
from mini_dl.ops.joining import cat
from mini_dl.optim.optimizer import Closure, Optimizer, descent as descent
from mini_dl.optim.updates import chosen, refuse, refuse_bools
from mini_dl.tensor import Tensor

Length: TypeAlias = float | Tensor


class _Point(NamedTuple):
    """What is known at the step length `t` along the direction: loss, gradient, and its component along the direction."""

    t: Any
    loss: float
    grad: Tensor
    slope: Any

    def too_high(self, start: _Point) -> bool:
        """Whether the loss misses the first condition of Wolfe on a line from `start`: low enough."""
        return bool(self.loss > start.loss + 1e-4 * self.t * start.slope)

    def flat_enough(self, start: _Point) -> bool:
        """Whether the slope meets the second one."""
        return bool(abs(self.slope) <= -0.9 * start.slope)


Line: TypeAlias = Callable[[Length], _Point]
"""A line through the parameters: the point at a step length."""


def cubic_minimum(a: _Point, b: _Point, bounds: tuple[Length, Length] | None = None) -> Any:
    """The minimum, within `bounds` or between the points, of the cubic through two points and slopes (Nocedal, Wright: 3.59)."""
    left, right = (a, b) if a.t <= b.t else (b, a)
    low, high = bounds or (left.t, right.t)
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square.sqrt()
    least = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2))
    return min(max(least, low), high)


def strong_wolfe(evaluate: Line, start: _Point, t: Length, longest: Tensor, tolerance: float, limit: int) -> tuple[_Point, int]:
    """A step length that reduces the loss and the slope enough, and how often the loss was computed
    (Nocedal and Wright, algorithms 3.5 and 3.6). `longest` is the greatest component of the direction."""
    before, point, tries = start, evaluate(t), 0
    bracket = None
    while tries < limit:  # until two points enclose a minimum
        high = point.too_high(start) or (tries > 1 and point.loss >= before.loss)
        if not high and point.flat_enough(start):
            return point, tries + 1
        if high or point.slope >= 0:
            bracket = [before, point]
            break
        bounds = (point.t + 0.01 * (point.t - before.t), point.t * 10)
        before, point = point, evaluate(cubic_minimum(before, point, bounds))
        tries += 1
    return _narrowed(evaluate, start, bracket or [start, point], tries, longest, tolerance, limit)


def _narrowed(
    evaluate: Line, start: _Point, bracket: list[_Point], tries: int, longest: Tensor, tolerance: float, limit: int
) -> tuple[_Point, int]:
    """The best point between two that enclose a minimum."""
    low = 0 if bracket[0].loss <= bracket[1].loss else 1
    stalled = False
    while tries < limit:  # make the interval smaller
        left, right = sorted([bracket[0].t, bracket[1].t])
        if (right - left) * longest < tolerance:
            break
        t, margin = cubic_minimum(bracket[0], bracket[1]), 0.1 * (right - left)
        near_end = min(right - t, t - left) < margin  # once is allowed
        if near_end and (stalled or t >= right or t <= left):
            t, near_end = (right - margin if abs(t - right) < abs(t - left) else left + margin), False
        stalled = near_end
        point, tries = evaluate(t), tries + 1
        if point.too_high(start) or point.loss >= bracket[low].loss:
            bracket[1 - low] = point
            low = 0 if bracket[0].loss <= bracket[1].loss else 1
            continue
        done = point.flat_enough(start)
        if not done and point.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = point
        if done:
            break
    return bracket[low], tries + 1


def _real(tensor: Tensor) -> Tensor:
    return view_as_real(tensor) if tensor.is_complex() else tensor


class LBFGS(Optimizer):
    """Steps along an estimate of the inverse Hessian times the gradient, from the last `history_size` changes of both.

    ``param -= t * H @ grad``, where H maps each remembered change of the gradient to that of the parameters

    ``step(closure)`` makes up to `max_iter` of them: of length `lr`, or as long as a "strong_wolfe" line search finds.
    State, at the first parameter: the last `old_stps` and `old_dirs`, each a vector of all parameters, `n_iter`, `func_evals`.
    Raises: ValueError for several groups; RuntimeError for another `line_search_fn`.
    Source: Liu and Nocedal 1989; Nocedal and Wright 2006, algorithms 3.5, 3.6 and 7.4.

    >>> descent(LBFGS, line_search_fn="strong_wolfe", steps=1)
    [[0.0, 0.0]]
    """

    def __init__(
        self, params: Params, lr: Number = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(params, chosen(locals(), "lr"))
        refuse_bools(lr)
        refuse(len(self.param_groups) != 1, "LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    # -------------------------------------------------------------------------------------------- all as one vector

    def __setstate__(self, state: StateDict) -> None:
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    def _gradient(self) -> Tensor:
        grads = [p.new_zeros(p.shape) if p.grad is None else p.grad for p in self._params]
        return cat([_real(grad).reshape(-1) for grad in grads])

    def _move(self, t: Length, direction: Tensor) -> None:
        start = 0
        for target in [_real(p) for p in self._params]:
            target.add_(direction[start : start + target.numel()].view_as(target), alpha=float(t))
            start += target.numel()

    # -------------------------------------------------------------------------------------------- the step

    def step(self, closure: Closure) -> Any:
        """Minimize `closure`, which computes the loss and its gradient, for `max_iter` steps; returns the first loss."""
        with no_grad():
            return self._minimize(enable_grad()(closure))

    def _minimize(self, closure: Closure) -> Any:
        assert len(self.param_groups) == 1, f"Expected exactly one param_group, but got {len(self.param_groups)}"
        group, state = self.param_groups[0], self.state[self._params[0]]
        lr, most = group["lr"], group["max_eval"]
        flat, little = group["tolerance_grad"], group["tolerance_change"]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        loss, grad, evaluations = float(first_loss), self._gradient(), 1
        state["func_evals"] += 1
        if grad.abs().max() <= flat:
            return first_loss
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(grad, state, group["history_size"])
            state["prev_flat_grad"] = grad.clone()
            state["prev_loss"] = before = loss
            t = min(1.0, 1.0 / grad.abs().sum()) * lr if state["n_iter"] == 1 else lr
            state["d"], state["t"] = direction, t
            slope = grad.dot(direction)
            if slope > -little:
                break
            used = 0
            if group["line_search_fn"] is not None:
                refuse(group["line_search_fn"] != "strong_wolfe", "only 'strong_wolfe' is supported", RuntimeError)
                start, longest, evaluate = _Point(0, loss, grad, slope), direction.abs().max(), self._along(closure, direction)
                found, used = strong_wolfe(evaluate, start, t, longest, little, most - evaluations)
                state["t"], loss, grad, _ = found
            self._move(state["t"], direction)
            if group["line_search_fn"] is None and iteration != group["max_iter"]:
                loss, grad, used = float(closure()), self._gradient(), 1
            evaluations += used
            state["func_evals"] += used
            if evaluations >= most or grad.abs().max() <= flat:
                break
            if (direction * state["t"]).abs().max() <= little or abs(loss - before) < little:
                break
        return first_loss

    def _along(self, closure: Closure, direction: Tensor) -> Line:
        """The loss at a step length; the parameters are restored."""
        kept = [p.clone() for p in self._params]

        def evaluate(t: Any) -> _Point:
            self._move(t, direction)
            loss, grad = float(closure()), self._gradient()
            for p, value in zip(self._params, kept):
                p.copy_(value)
            return _Point(t, loss, grad, grad.dot(direction))

        return evaluate

    def _direction(self, grad: Tensor, state: StateDict, history: int) -> Tensor:
        """Minus the inverse Hessian times `grad`, by two loops over the remembered changes (Nocedal, Wright: algorithm 7.4)."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -grad
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = grad - state["prev_flat_grad"], state["d"] * state["t"]
        ys = y.dot(s)
        if ys > 1e-10:
            for remembered, latest in ((changes, y), (steps, s), (ro, 1.0 / ys)):
                if len(remembered) == history:
                    remembered.pop(0)
                remembered.append(latest)
            state["H_diag"] = ys / y.dot(y)
        weights = state.setdefault("al", [None] * history)
        q = -grad
        for i in reversed(range(len(changes))):
            weights[i] = steps[i].dot(q) * ro[i]
            q = q - changes[i] * weights[i]
        r = q * state["H_diag"]
        for i in range(len(changes)):
            r = r + steps[i] * (weights[i] - changes[i].dot(r) * ro[i])
        return r
