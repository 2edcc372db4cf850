"""The modules, one file per family: each class of a file is listed here by itself."""

from mini_dl import _families, _surface
from mini_dl._listing import list_classes, list_names
from mini_dl.nn.modules import (
    activation,
    adaptive,
    attention,
    batchnorm,
    container,
    conv,
    distance,
    dropout,
    flatten,
    fold,
    instancenorm,
    linear,
    linear_cross_entropy_options,
    loss,
    module,
    normalization,
    padding,
    pixelshuffle,
    pooling,
    rnn,
    sparse,
    transformer,
    upsampling,
)

list_classes(globals(), apart="configured hooked_call hooks lazy weighted")
_families.complete_docstrings(globals(), functions=_surface.NAMESPACES)
list_names(globals())
