"""float16 is computed in float32."""

import mini_dl as torch


def test_the_mean_of_more_numbers_than_half_precision_can_count() -> None:
    """65,504 is the largest float16; the number of elements would be infinite in it, and the mean 0."""
    x = torch.ones(70_000, dtype=torch.float16, requires_grad=True)
    mean = x.mean()
    assert mean.dtype is torch.float16 and float(mean) == 1


def test_variance_and_deviation_of_many_numbers_in_half_precision() -> None:
    x = torch.tensor([1.0, -1.0], dtype=torch.float16).repeat(40_000)
    assert float(x.var(correction=0)) == 1 and float(x.std(correction=0)) == 1
