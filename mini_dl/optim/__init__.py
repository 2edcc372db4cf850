"""Optimizers and learning rate schedules."""

from mini_dl.optim import lr_scheduler
from mini_dl.optim.adam import Adam, AdamW
from mini_dl.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from mini_dl.optim.sgd import SGD
