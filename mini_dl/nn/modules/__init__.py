"""The modules, one file per family."""

from mini_dl._listing import list_names
from mini_dl.nn.modules.activation import (
    CELU as CELU,
)
from mini_dl.nn.modules.activation import (
    ELU as ELU,
)
from mini_dl.nn.modules.activation import (
    GELU as GELU,
)
from mini_dl.nn.modules.activation import (
    GLU as GLU,
)
from mini_dl.nn.modules.activation import (
    SELU as SELU,
)
from mini_dl.nn.modules.activation import (
    Hardshrink as Hardshrink,
)
from mini_dl.nn.modules.activation import (
    Hardsigmoid as Hardsigmoid,
)
from mini_dl.nn.modules.activation import (
    Hardswish as Hardswish,
)
from mini_dl.nn.modules.activation import (
    Hardtanh as Hardtanh,
)
from mini_dl.nn.modules.activation import (
    LeakyReLU as LeakyReLU,
)
from mini_dl.nn.modules.activation import (
    LogSigmoid as LogSigmoid,
)
from mini_dl.nn.modules.activation import (
    LogSoftmax as LogSoftmax,
)
from mini_dl.nn.modules.activation import (
    Mish as Mish,
)
from mini_dl.nn.modules.activation import (
    PReLU as PReLU,
)
from mini_dl.nn.modules.activation import (
    ReLU as ReLU,
)
from mini_dl.nn.modules.activation import (
    ReLU6 as ReLU6,
)
from mini_dl.nn.modules.activation import (
    RReLU as RReLU,
)
from mini_dl.nn.modules.activation import (
    Sigmoid as Sigmoid,
)
from mini_dl.nn.modules.activation import (
    SiLU as SiLU,
)
from mini_dl.nn.modules.activation import (
    Softmax as Softmax,
)
from mini_dl.nn.modules.activation import (
    Softmax2d as Softmax2d,
)
from mini_dl.nn.modules.activation import (
    Softmin as Softmin,
)
from mini_dl.nn.modules.activation import (
    Softplus as Softplus,
)
from mini_dl.nn.modules.activation import (
    Softshrink as Softshrink,
)
from mini_dl.nn.modules.activation import (
    Softsign as Softsign,
)
from mini_dl.nn.modules.activation import (
    Tanh as Tanh,
)
from mini_dl.nn.modules.activation import (
    Tanhshrink as Tanhshrink,
)
from mini_dl.nn.modules.activation import (
    Threshold as Threshold,
)
from mini_dl.nn.modules.adaptive import AdaptiveLogSoftmaxWithLoss as AdaptiveLogSoftmaxWithLoss
from mini_dl.nn.modules.attention import MultiheadAttention as MultiheadAttention
from mini_dl.nn.modules.batchnorm import (
    BatchNorm1d as BatchNorm1d,
)
from mini_dl.nn.modules.batchnorm import (
    BatchNorm2d as BatchNorm2d,
)
from mini_dl.nn.modules.batchnorm import (
    BatchNorm3d as BatchNorm3d,
)
from mini_dl.nn.modules.batchnorm import (
    LazyBatchNorm1d as LazyBatchNorm1d,
)
from mini_dl.nn.modules.batchnorm import (
    LazyBatchNorm2d as LazyBatchNorm2d,
)
from mini_dl.nn.modules.batchnorm import (
    LazyBatchNorm3d as LazyBatchNorm3d,
)
from mini_dl.nn.modules.batchnorm import (
    SyncBatchNorm as SyncBatchNorm,
)
from mini_dl.nn.modules.container import (
    ModuleDict as ModuleDict,
)
from mini_dl.nn.modules.container import (
    ModuleList as ModuleList,
)
from mini_dl.nn.modules.container import (
    ParameterDict as ParameterDict,
)
from mini_dl.nn.modules.container import (
    ParameterList as ParameterList,
)
from mini_dl.nn.modules.container import (
    Sequential as Sequential,
)
from mini_dl.nn.modules.conv import (
    Conv1d as Conv1d,
)
from mini_dl.nn.modules.conv import (
    Conv2d as Conv2d,
)
from mini_dl.nn.modules.conv import (
    Conv3d as Conv3d,
)
from mini_dl.nn.modules.conv import (
    ConvTranspose1d as ConvTranspose1d,
)
from mini_dl.nn.modules.conv import (
    ConvTranspose2d as ConvTranspose2d,
)
from mini_dl.nn.modules.conv import (
    ConvTranspose3d as ConvTranspose3d,
)
from mini_dl.nn.modules.conv import (
    LazyConv1d as LazyConv1d,
)
from mini_dl.nn.modules.conv import (
    LazyConv2d as LazyConv2d,
)
from mini_dl.nn.modules.conv import (
    LazyConv3d as LazyConv3d,
)
from mini_dl.nn.modules.conv import (
    LazyConvTranspose1d as LazyConvTranspose1d,
)
from mini_dl.nn.modules.conv import (
    LazyConvTranspose2d as LazyConvTranspose2d,
)
from mini_dl.nn.modules.conv import (
    LazyConvTranspose3d as LazyConvTranspose3d,
)
from mini_dl.nn.modules.distance import CosineSimilarity as CosineSimilarity
from mini_dl.nn.modules.distance import PairwiseDistance as PairwiseDistance
from mini_dl.nn.modules.dropout import (
    AlphaDropout as AlphaDropout,
)
from mini_dl.nn.modules.dropout import (
    Dropout as Dropout,
)
from mini_dl.nn.modules.dropout import (
    Dropout1d as Dropout1d,
)
from mini_dl.nn.modules.dropout import (
    Dropout2d as Dropout2d,
)
from mini_dl.nn.modules.dropout import (
    Dropout3d as Dropout3d,
)
from mini_dl.nn.modules.dropout import (
    FeatureAlphaDropout as FeatureAlphaDropout,
)
from mini_dl.nn.modules.flatten import Flatten as Flatten
from mini_dl.nn.modules.flatten import Unflatten as Unflatten
from mini_dl.nn.modules.fold import Fold as Fold
from mini_dl.nn.modules.fold import Unfold as Unfold
from mini_dl.nn.modules.instancenorm import (
    InstanceNorm1d as InstanceNorm1d,
)
from mini_dl.nn.modules.instancenorm import (
    InstanceNorm2d as InstanceNorm2d,
)
from mini_dl.nn.modules.instancenorm import (
    InstanceNorm3d as InstanceNorm3d,
)
from mini_dl.nn.modules.instancenorm import (
    LazyInstanceNorm1d as LazyInstanceNorm1d,
)
from mini_dl.nn.modules.instancenorm import (
    LazyInstanceNorm2d as LazyInstanceNorm2d,
)
from mini_dl.nn.modules.instancenorm import (
    LazyInstanceNorm3d as LazyInstanceNorm3d,
)
from mini_dl.nn.modules.linear import Bilinear as Bilinear
from mini_dl.nn.modules.linear import Identity as Identity
from mini_dl.nn.modules.linear import LazyLinear as LazyLinear
from mini_dl.nn.modules.linear import Linear as Linear
from mini_dl.nn.modules.linear_cross_entropy_options import LinearCrossEntropyOptions as LinearCrossEntropyOptions
from mini_dl.nn.modules.loss import (
    BCELoss as BCELoss,
)
from mini_dl.nn.modules.loss import (
    BCEWithLogitsLoss as BCEWithLogitsLoss,
)
from mini_dl.nn.modules.loss import (
    CosineEmbeddingLoss as CosineEmbeddingLoss,
)
from mini_dl.nn.modules.loss import (
    CrossEntropyLoss as CrossEntropyLoss,
)
from mini_dl.nn.modules.loss import (
    CTCLoss as CTCLoss,
)
from mini_dl.nn.modules.loss import (
    GaussianNLLLoss as GaussianNLLLoss,
)
from mini_dl.nn.modules.loss import (
    HingeEmbeddingLoss as HingeEmbeddingLoss,
)
from mini_dl.nn.modules.loss import (
    HuberLoss as HuberLoss,
)
from mini_dl.nn.modules.loss import (
    KLDivLoss as KLDivLoss,
)
from mini_dl.nn.modules.loss import (
    L1Loss as L1Loss,
)
from mini_dl.nn.modules.loss import (
    LinearCrossEntropyLoss as LinearCrossEntropyLoss,
)
from mini_dl.nn.modules.loss import (
    MarginRankingLoss as MarginRankingLoss,
)
from mini_dl.nn.modules.loss import (
    MSELoss as MSELoss,
)
from mini_dl.nn.modules.loss import (
    MultiLabelMarginLoss as MultiLabelMarginLoss,
)
from mini_dl.nn.modules.loss import (
    MultiLabelSoftMarginLoss as MultiLabelSoftMarginLoss,
)
from mini_dl.nn.modules.loss import (
    MultiMarginLoss as MultiMarginLoss,
)
from mini_dl.nn.modules.loss import (
    NLLLoss as NLLLoss,
)
from mini_dl.nn.modules.loss import (
    NLLLoss2d as NLLLoss2d,
)
from mini_dl.nn.modules.loss import (
    PoissonNLLLoss as PoissonNLLLoss,
)
from mini_dl.nn.modules.loss import (
    SmoothL1Loss as SmoothL1Loss,
)
from mini_dl.nn.modules.loss import (
    SoftMarginLoss as SoftMarginLoss,
)
from mini_dl.nn.modules.loss import (
    TripletMarginLoss as TripletMarginLoss,
)
from mini_dl.nn.modules.loss import (
    TripletMarginWithDistanceLoss as TripletMarginWithDistanceLoss,
)
from mini_dl.nn.modules.module import Module as Module
from mini_dl.nn.modules.normalization import (
    CrossMapLRN2d as CrossMapLRN2d,
)
from mini_dl.nn.modules.normalization import (
    GroupNorm as GroupNorm,
)
from mini_dl.nn.modules.normalization import (
    LayerNorm as LayerNorm,
)
from mini_dl.nn.modules.normalization import (
    LocalResponseNorm as LocalResponseNorm,
)
from mini_dl.nn.modules.normalization import (
    RMSNorm as RMSNorm,
)
from mini_dl.nn.modules.padding import (
    CircularPad1d as CircularPad1d,
)
from mini_dl.nn.modules.padding import (
    CircularPad2d as CircularPad2d,
)
from mini_dl.nn.modules.padding import (
    CircularPad3d as CircularPad3d,
)
from mini_dl.nn.modules.padding import (
    ConstantPad1d as ConstantPad1d,
)
from mini_dl.nn.modules.padding import (
    ConstantPad2d as ConstantPad2d,
)
from mini_dl.nn.modules.padding import (
    ConstantPad3d as ConstantPad3d,
)
from mini_dl.nn.modules.padding import (
    ReflectionPad1d as ReflectionPad1d,
)
from mini_dl.nn.modules.padding import (
    ReflectionPad2d as ReflectionPad2d,
)
from mini_dl.nn.modules.padding import (
    ReflectionPad3d as ReflectionPad3d,
)
from mini_dl.nn.modules.padding import (
    ReplicationPad1d as ReplicationPad1d,
)
from mini_dl.nn.modules.padding import (
    ReplicationPad2d as ReplicationPad2d,
)
from mini_dl.nn.modules.padding import (
    ReplicationPad3d as ReplicationPad3d,
)
from mini_dl.nn.modules.padding import (
    ZeroPad1d as ZeroPad1d,
)
from mini_dl.nn.modules.padding import (
    ZeroPad2d as ZeroPad2d,
)
from mini_dl.nn.modules.padding import (
    ZeroPad3d as ZeroPad3d,
)
from mini_dl.nn.modules.pixelshuffle import (
    ChannelShuffle as ChannelShuffle,
)
from mini_dl.nn.modules.pixelshuffle import (
    PixelShuffle as PixelShuffle,
)
from mini_dl.nn.modules.pixelshuffle import (
    PixelUnshuffle as PixelUnshuffle,
)
from mini_dl.nn.modules.pooling import (
    AdaptiveAvgPool1d as AdaptiveAvgPool1d,
)
from mini_dl.nn.modules.pooling import (
    AdaptiveAvgPool2d as AdaptiveAvgPool2d,
)
from mini_dl.nn.modules.pooling import (
    AdaptiveAvgPool3d as AdaptiveAvgPool3d,
)
from mini_dl.nn.modules.pooling import (
    AdaptiveMaxPool1d as AdaptiveMaxPool1d,
)
from mini_dl.nn.modules.pooling import (
    AdaptiveMaxPool2d as AdaptiveMaxPool2d,
)
from mini_dl.nn.modules.pooling import (
    AdaptiveMaxPool3d as AdaptiveMaxPool3d,
)
from mini_dl.nn.modules.pooling import (
    AvgPool1d as AvgPool1d,
)
from mini_dl.nn.modules.pooling import (
    AvgPool2d as AvgPool2d,
)
from mini_dl.nn.modules.pooling import (
    AvgPool3d as AvgPool3d,
)
from mini_dl.nn.modules.pooling import (
    FractionalMaxPool2d as FractionalMaxPool2d,
)
from mini_dl.nn.modules.pooling import (
    FractionalMaxPool3d as FractionalMaxPool3d,
)
from mini_dl.nn.modules.pooling import (
    LPPool1d as LPPool1d,
)
from mini_dl.nn.modules.pooling import (
    LPPool2d as LPPool2d,
)
from mini_dl.nn.modules.pooling import (
    LPPool3d as LPPool3d,
)
from mini_dl.nn.modules.pooling import (
    MaxPool1d as MaxPool1d,
)
from mini_dl.nn.modules.pooling import (
    MaxPool2d as MaxPool2d,
)
from mini_dl.nn.modules.pooling import (
    MaxPool3d as MaxPool3d,
)
from mini_dl.nn.modules.pooling import (
    MaxUnpool1d as MaxUnpool1d,
)
from mini_dl.nn.modules.pooling import (
    MaxUnpool2d as MaxUnpool2d,
)
from mini_dl.nn.modules.pooling import (
    MaxUnpool3d as MaxUnpool3d,
)
from mini_dl.nn.modules.rnn import (
    GRU as GRU,
)
from mini_dl.nn.modules.rnn import (
    LSTM as LSTM,
)
from mini_dl.nn.modules.rnn import (
    RNN as RNN,
)
from mini_dl.nn.modules.rnn import (
    GRUCell as GRUCell,
)
from mini_dl.nn.modules.rnn import (
    LSTMCell as LSTMCell,
)
from mini_dl.nn.modules.rnn import (
    RNNBase as RNNBase,
)
from mini_dl.nn.modules.rnn import (
    RNNCell as RNNCell,
)
from mini_dl.nn.modules.rnn import (
    RNNCellBase as RNNCellBase,
)
from mini_dl.nn.modules.sparse import Embedding as Embedding
from mini_dl.nn.modules.sparse import EmbeddingBag as EmbeddingBag
from mini_dl.nn.modules.transformer import (
    Transformer as Transformer,
)
from mini_dl.nn.modules.transformer import (
    TransformerDecoder as TransformerDecoder,
)
from mini_dl.nn.modules.transformer import (
    TransformerDecoderLayer as TransformerDecoderLayer,
)
from mini_dl.nn.modules.transformer import (
    TransformerEncoder as TransformerEncoder,
)
from mini_dl.nn.modules.transformer import (
    TransformerEncoderLayer as TransformerEncoderLayer,
)
from mini_dl.nn.modules.upsampling import (
    Upsample as Upsample,
)
from mini_dl.nn.modules.upsampling import (
    UpsamplingBilinear2d as UpsamplingBilinear2d,
)
from mini_dl.nn.modules.upsampling import (
    UpsamplingNearest2d as UpsamplingNearest2d,
)

list_names(globals())
