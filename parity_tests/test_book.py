"""The experiments of the learning notes: both libraries give the same results, and what the notes say about them holds."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np
import pytest
import torch

import mini_dl
from mini_dl.experiments import _frame as frame
from scripts import book


@functools.cache
def results(name: str) -> dict[str, Any]:
    """A quick run under both libraries."""
    module = frame.experiment(name)
    return {library.__name__: module.run(library, quick=True) for library in (mini_dl, torch)}


@pytest.fixture(autouse=True)
def digits(monkeypatch):
    """The images that are always available."""
    monkeypatch.delenv("MINI_DL_DATA", raising=False)


@pytest.mark.parametrize("name", frame.EXPERIMENTS)
def test_both_libraries_see_the_same(name):
    good, said = frame.agreement(results(name), frame.experiment(name).TOLERANCE)
    assert good, said


@pytest.mark.parametrize("name", frame.EXPERIMENTS)
def test_an_experiment_says_what_it_saw(name):
    module = frame.experiment(name)
    assert frame.title(module)
    assert frame.paragraphs(module)
    assert all(module.report(results(name)))
    assert all(module.report({"torch": results(name)["torch"]}))


def ours(name: str) -> Any:
    return results(name)["mini_dl"]


def test_the_gradient_of_a_sum_of_squares_is_twice_the_point():
    found = ours("gradient_field")
    np.testing.assert_array_equal(found["gradients"], 2 * found["points"])


def test_rates_of_their_own_arrive_where_one_rate_for_both_is_still_on_its_way():
    found = ours("sign_rates")
    left = {kind: abs(course["path"][-1][0]) for kind, course in found.items()}
    assert left["one rate for both"] > 1
    assert max(left["delta-bar-delta"], left["Rprop"]) < 0.2
    flat, steep = found["delta-bar-delta"]["rates"][-1]
    assert flat > 10 * steep


def test_growing_momentum_ends_lower_than_either_of_its_ends():
    losses = {name: np.array(course["losses"]).reshape(12, -1).mean(1) for name, course in ours("growing_momentum").items()}
    assert losses["0.5 to 0.99"][0] == losses["0.5"][0]
    assert losses["0.5 to 0.99"][-1] < min(losses["0.5"][-1], losses["0.99"][-1])
    assert losses["0.9"][-1] < losses["0.5 to 0.99"][-1]


@pytest.mark.parametrize("kind", ["backpropagated", "numerical"])
def test_a_learning_rate_of_a_tenth_arrives_and_one_of_1e_10_stays(kind):
    paths = ours("gradient_descent")[kind]
    np.testing.assert_allclose(paths[0.1][-1], [-6.11110793e-10, 8.14814391e-10], rtol=1e-6)
    np.testing.assert_allclose(paths[1e-10][-1], [-2.99999994, 3.99999992], atol=1e-8)


def test_a_learning_rate_of_ten_diverges_until_numerical_gradients_give_out():
    found = ours("gradient_descent")
    np.testing.assert_allclose(found["backpropagated"][10.0][-1], np.array([-3, 4]) * 19.0**100, rtol=1e-9)
    np.testing.assert_allclose(found["numerical"][10.0][-1], [-2.59e13, -1.29e12], rtol=5e-3)


def test_mini_batches_learn_digits_and_what_was_learned_holds_for_others():
    course = ours("mini_batch_sgd")
    assert np.mean(course["losses"][-20:]) < np.mean(course["losses"][:20]) / 4
    assert course["test"][0] < 0.2 < 0.9 < course["test"][-1]
    assert abs(course["train"][-1] - course["test"][-1]) < 0.05


def test_numerical_gradients_of_a_network_are_those_of_backpropagation():
    for gradients in ours("gradient_check").values():
        assert np.abs(gradients["backpropagated"]).max() > 0.01
        np.testing.assert_allclose(gradients["numerical"], gradients["backpropagated"], atol=1e-8)


def test_accuracy_is_level_where_the_loss_has_a_slope():
    course = ours("accuracy_is_no_loss")
    assert (np.diff(course["accuracies"]) == 0).mean() > 0.9
    slopes = np.gradient(course["losses"], course["values"])
    np.testing.assert_allclose(slopes[1:-1], course["derivatives"][1:-1], atol=1e-3)
    assert (np.abs(course["derivatives"]) > 1e-4).all()


def test_a_saturated_sigmoid_learns_by_cross_entropy_in_a_fifth_of_the_steps():
    module, found = frame.experiment("saturated_sigmoid"), ours("saturated_sigmoid")
    slow, fast = (found[loss]["saturated"] for loss in ("squared error", "cross entropy"))
    assert 5 * module.steps(fast) < module.steps(slow) < module.STEPS
    assert slow["gradients"][0] < 0.02
    assert fast["gradients"][0] > 0.98  # a - y


def test_each_optimizer_goes_down_the_bowl_and_halves_the_loss():
    module = frame.experiment("optimizers")
    for name, course in ours("optimizers").items():
        assert module.bowl(*course["path"][-1]) < module.bowl(*module.START) / 30, name
        assert np.mean(course["losses"][-20:]) < np.mean(course["losses"][:20]) / 2, name


def test_sgd_zigzags_across_the_valley_and_adagrad_does_not():
    sides = {name: np.sign(course["path"][:, 1]) for name, course in ours("optimizers").items()}
    assert (np.diff(sides["SGD"]) != 0).all()
    assert (sides["AdaGrad"] > 0).all()


def spreads(activation: str, initialization: str) -> Any:
    return np.array([layer["std"] for layer in ours("activations")[activation][initialization]])


@pytest.mark.parametrize("activation", ["Sigmoid", "Tanh"])
def test_large_weights_saturate_and_small_ones_make_all_outputs_the_same(activation):
    for layer in ours("activations")[activation]["std 1"]:
        assert layer["counts"][[0, -1]].sum() > layer["counts"].sum() / 2
    assert spreads(activation, "std 0.01")[-1] < 0.02


def test_he_keeps_the_spread_of_relu_and_no_other_initialization_does():
    ratios = {name: spreads("ReLU", name)[1:] / spreads("ReLU", name)[:-1] for name in ("std 1", "std 0.01", "Xavier", "He")}
    np.testing.assert_allclose(ratios["He"], 1, atol=0.1)
    np.testing.assert_allclose(ratios["Xavier"], 0.5**0.5, atol=0.1)
    np.testing.assert_allclose(ratios["std 1"], 50**0.5, atol=1)
    np.testing.assert_allclose(ratios["std 0.01"], 0.01 * 50**0.5, atol=0.01)


def test_weights_of_spread_001_learn_nothing_where_xaviers_and_hes_do():
    courses = ours("initialization")
    assert np.abs(np.array(courses["std 0.01"]["losses"]) - frame.GUESS).max() < 0.03
    early = {name: np.mean(course["losses"][:60]) for name, course in courses.items()}
    assert early["He"] < early["Xavier"] < early["std 0.01"]
    assert min(courses[name]["test"][-1] for name in ("Xavier", "He")) > 0.9


def test_with_batch_norm_most_initial_scales_learn_and_without_it_few_do():
    last = {kind: np.array([course["train"][-1] for course in found.values()]) for kind, found in ours("batch_norm").items()}
    assert (last["with batch norm"] > 0.6).mean() > 0.8
    assert 0 < (last["without"] > 0.6).mean() < 0.3
    assert (last["with batch norm"] > last["without"]).all()


def test_300_images_are_learned_by_heart_and_weight_decay_and_dropout_hold_that_up():
    found = ours("overfitting")
    alone, decayed, dropped = (np.array(found[name]["test"]["loss"]) for name in found)
    assert found["neither"]["train"]["accuracy"][-1] == 1
    assert alone[-1] > 1.3 * alone.min()
    assert decayed.min() < 0.9 * alone.min()
    assert decayed[-10:].mean() < 0.85 * alone[-10:].mean()
    assert dropped.min() < alone.min()
    assert dropped.argmin() > 2 * alone.argmin()


def test_a_feature_of_another_scale_or_sign_makes_the_bowl_a_valley_and_standardizing_makes_it_round():
    module, found = frame.experiment("feature_scale"), ours("feature_scale")["descents"]
    large, positive, standardized = (found[name] for name in module.CASES)
    assert standardized["condition"] < 7 < 14 < min(large["condition"], positive["condition"])
    remains = [each["errors above the least"][20] / each["errors above the least"][0] for each in (large, positive, standardized)]
    assert min(remains[:2]) > 1e-3 > 1e-5 > remains[2]


@pytest.mark.parametrize("name", frame.experiment("feature_scale").CASES)
def test_the_best_learning_rate_divides_the_error_by_what_the_bowls_shape_says(name):
    found = ours("feature_scale")["descents"][name]
    factor = (found["condition"] - 1) / (found["condition"] + 1)
    errors = found["errors above the least"][:15]
    np.testing.assert_allclose(errors[1:] / errors[:-1], factor**2, rtol=1e-6)


def test_all_images_move_the_weights_of_positive_features_the_same_way():
    module, found = frame.experiment("feature_scale"), ours("feature_scale")["descents"]
    shares = {name: found[name]["same sign"] for name in module.CASES}
    assert shares["both positive"] == 1
    assert shares["standardized"] < 0.5


def test_a_network_on_standardized_pixels_gets_lowest_at_its_best_learning_rate():
    module, found = frame.experiment("feature_scale"), ours("feature_scale")["networks"]
    lowest = {name: module.last(by_rate[module.best_rate(by_rate)]) for name, by_rate in found.items()}
    assert lowest["standardized"] < 0.7 * lowest["0 to 1"] < lowest["0 to 255"]


def test_the_learning_rate_decides_a_search_and_the_weight_decay_does_not():
    module, found = frame.experiment("random_search"), ours("random_search")
    trials = [found["trials"][trial] for trial in module.ranked(found)]
    best, worst = trials[: len(trials) // 4], trials[-len(trials) // 4 :]
    assert min(trial["validation"][-1] for trial in best) > 0.7 > 0.3 > max(trial["validation"][-1] for trial in worst)
    assert np.ptp(np.log10([trial["rate"] for trial in best])) < 2
    assert np.ptp(np.log10([trial["decay"] for trial in best])) > 3


def test_draws_are_even_in_the_logarithm():
    module, found = frame.experiment("random_search"), ours("random_search")
    for key, (low, high) in (("rate", module.RATES), ("decay", module.DECAYS)):
        powers = (np.log10([trial[key] for trial in found["trials"]]) - low) / (high - low)
        assert powers.min() >= 0 and powers.max() <= 1
        assert abs(powers.mean() - 0.5) < 0.15


def test_filters_begin_as_noise_and_become_smooth():
    module, found = frame.experiment("filters"), ours("filters")
    assert module.roughness(found["before"]["filters"]) == pytest.approx(2, abs=0.2)
    assert module.roughness(found["after"]["filters"]) < 1.6
    assert found["before"]["accuracy"] < 0.2 < 0.9 < found["after"]["accuracy"]


def last_losses(norm: str, depth: int) -> tuple[float, float]:
    """The results of the plain network and of its residual twin."""
    plain, residual = (np.mean(ours("plain_and_residual")[norm][kind][depth]["losses"][-10:]) for kind in ("plain", "residual"))
    return plain, residual


def test_twenty_plain_layers_fail_where_their_residual_twin_learns():
    plain, residual = last_losses("without", 20)
    assert plain > frame.GUESS - 0.02
    assert residual < 0.5
    found = ours("plain_and_residual")["without"]
    assert found["plain"][20]["test"] < 0.2 < 0.8 < found["residual"][20]["test"]


def test_with_batch_norm_plain_networks_get_worse_with_depth_and_residual_ones_hardly_do():
    (shallow, _), (middle, _), (deep, residual) = (last_losses("with", depth) for depth in (8, 20, 44))
    assert shallow < middle < deep
    assert residual < 0.5 * deep


@pytest.mark.parametrize("name", ["batch_norm", "random_search"])
def test_in_a_quick_run_the_libraries_agree_where_a_long_one_lets_differences_grow(name):
    assert frame.difference(results(name)) < 0.01


def test_the_libraries_train_deep_networks_alike_for_twenty_steps_at_least():
    module = frame.experiment("plain_and_residual")
    for norm, depths in module.DEPTHS.items():
        for kind in module.KINDS:
            for depth in depths:
                step = frame.parting(frame.pick(results("plain_and_residual"), norm, kind, depth, "losses"))
                assert step is None or step > 20, (norm, kind, depth, step)


def test_a_network_of_two_layers_has_no_block_and_so_no_twin():
    found = ours("plain_and_residual")["without"]
    assert found["plain"][2] == found["residual"][2]


def test_the_step_of_parting_is_the_first_one_beyond_the_distance():
    assert frame.parting({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0 + 1e-7, 3.1]}) == 3
    assert frame.parting({"a": [1.0, np.nan], "b": [1.0, 2.0]}) == 2
    assert frame.parting({"a": [1.0], "b": [1.0]}) is None
    assert frame.parting({"a": [1.0]}) is None


def test_a_difference_is_absolute_and_above_one_relative():
    assert frame.difference({"a": {"x": [0.5, 200.0]}, "b": {"x": [0.25, 100.0]}}) == 1.0
    assert frame.difference({"a": [np.nan, np.inf, -np.inf], "b": [np.nan, np.inf, -np.inf]}) == 0.0
    assert frame.difference({"a": [1.0], "b": [np.nan]}) == np.inf
    assert frame.difference({"a": [1.0]}) is None


def test_results_of_unlike_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        frame.difference({"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError):
        frame.difference({"a": {"x": 1.0}, "b": {"x": 1.0, "y": 2.0}})


def test_without_a_tolerance_a_difference_is_told_and_not_judged():
    apart = {"a": [1.0], "b": [2.0]}
    assert frame.agreement(apart, 1e-9)[0] is False
    assert frame.agreement(apart, None) == (True, "largest difference between a and b: 5.0e-01 (rounding grows here: not judged)")


def test_an_unknown_name_is_answered_with_all_names(capsys):
    assert book.main(["gradient_feild"]) == 2
    said = capsys.readouterr().err
    assert "unknown experiment: gradient_feild" in said
    assert all(name in said for name in frame.EXPERIMENTS)


def test_without_torch_there_is_nothing_to_run_under_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert book.main(["gradient_field", "--library", "torch"]) == 2
    assert "torch is not installed" in capsys.readouterr().err


def test_without_names_the_experiments_are_listed(capsys):
    assert book.main([]) == 0
    said = capsys.readouterr().out
    assert all(name in said and frame.title(frame.experiment(name)) in said for name in frame.EXPERIMENTS)
