"""PyTorch's eager CPU library, written from scratch in NumPy: ``import mini_dl as torch``."""

from mini_dl import _printing, autograd, nn, ops, optim, random, special
from mini_dl._dtypes import *
from mini_dl._layout import *
from mini_dl._surface import namespace
from mini_dl.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from mini_dl.tensor import Size, Tensor, typename

globals().update(namespace("torch"))
