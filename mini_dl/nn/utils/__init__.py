"""Helpers for parameters and gradients."""

from mini_dl.nn.utils import rnn
from mini_dl.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from mini_dl.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from mini_dl.nn.utils.weight_norm import remove_weight_norm, weight_norm
