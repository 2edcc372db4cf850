"""Nodes of the graph have torch's names, even if torch has one operation and mini_dl composes several."""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests.twin import message, outcome, twin

TENSORS = """
x+1 1+x x-1 1-x x*2 2*x x/2 1/x x//2 x%2 x**2 2**x x**y x+y x-y x*y x/y x@y x@v v@v -x x.abs() x[0] x[0,1] x[:2] x[...,None]
x[:,None] x[x>0.5] x[[0,1]] x[0:3:2] x.T x.mT x.H x.t() z.H z.mH z.real z.imag z.conj() z.abs() z.angle() x.view(16)
x.reshape(2,8) x.flatten() x.unflatten(0,(2,2)) x.unsqueeze(0) x.squeeze() x.permute(1,0) x.transpose(0,1) x.movedim(0,1)
x.expand(2,4,4) x.repeat(2,2) x.contiguous().t().contiguous() x.clone() x.double() x.to(torch.float64) x.float().half()
x.type(torch.float64) x.narrow(0,0,2) x.select(0,1) x.chunk(2)[0] x.split(2)[0] x.unbind()[0] x.diag() x.diagonal() x.tril()
x.triu() x.flip(0) x.roll(1) x.rot90() x.cumsum(0) x.cumprod(0) x.logcumsumexp(0) x.sum() x.sum(0) x.mean() x.mean(0)
x.var() x.std() x.std(0) x.prod() x.prod(0) x.max() x.max(0)[0] x.min() x.amax(0) x.norm() x.norm(dim=0) x.logsumexp(0)
x.median() x.topk(2)[0] x.sort()[0] x.kthvalue(1)[0] x.nansum() x.exp() x.log() x.sqrt() x.rsqrt() x.sin() x.tanh()
x.sigmoid() x.relu() x.erf() x.pow(2) x.pow(y) x.square() x.reciprocal() x.clamp(0,1) x.clamp(min=0) x.clamp_min(0)
x.softmax(0) x.log_softmax(0) x.lerp(y,0.5) x.addcmul(x,y) torch.addmm(x,x,y) torch.where(x>0.5,x,y) torch.cat([x,y])
torch.stack([x,y]) torch.maximum(x,y) torch.outer(v,v) torch.einsum('ij,jk->ik',x,y) torch.einsum('bi,bi->b',x,y)
torch.bmm(x[None],y[None]) torch.cdist(x,y) torch.gather(x,0,torch.zeros(1,4,dtype=torch.long))
x.index_select(0,torch.tensor([0])) x.masked_fill(x>0.5,0.) x.masked_select(x>0.5)
x.scatter_add(0,torch.zeros(1,4,dtype=torch.long),y) x.take(torch.tensor([0])) torch.linalg.inv(x) torch.linalg.solve(x,y)
torch.det(x) torch.trace(x) torch.linalg.cholesky(x@x.T+torch.eye(4)) torch.fft.fft(x) torch.fft.rfft(x) x.clone().add_(1)
x.clone().mul_(2) x.clone().relu_() x.clone().zero_() x.clone().fill_(1) x.clone().clamp_(0,1) x.clone().copy_(y)
x.clone().t_() x.clone().unsqueeze_(0) x.clone().masked_fill_(x>0.5,0) x.clone().exp_() x.clone().sub_(y) x.clone().div_(2)
x.clone().pow_(2) x.clone().index_add_(0,torch.tensor([0]),y[:1])
"""
FUNCTIONS = """
F.relu(x) F.gelu(x) F.silu(x) F.elu(x) F.leaky_relu(x) F.softplus(x) F.hardtanh(x) F.relu6(x) F.selu(x) F.mish(x)
F.hardswish(x) F.hardsigmoid(x) F.logsigmoid(x) F.tanhshrink(x) F.softsign(x) F.glu(x) F.prelu(x,v) F.threshold(x,0.1,0.)
F.dropout(x,0.5) F.dropout(x,0.5,False) F.normalize(x) F.layer_norm(x,(4,)) F.linear(x,y) F.linear(x,y,v)
F.linear(x[None],y,v) F.linear(x[None],y) F.embedding(torch.tensor([0,1]),x) F.one_hot(torch.tensor([0,1])).float()*x[0,0]
F.mse_loss(x,y) F.l1_loss(x,y) F.smooth_l1_loss(x,y) F.huber_loss(x,y) F.cross_entropy(x,torch.tensor([0,1,2,3]))
F.nll_loss(x,torch.tensor([0,1,2,3])) F.binary_cross_entropy(x,y.detach()) F.binary_cross_entropy_with_logits(x,y)
F.kl_div(x,y) F.poisson_nll_loss(x,y) F.gaussian_nll_loss(x,y,y) F.hinge_embedding_loss(x,torch.ones(4,4))
F.margin_ranking_loss(v,v*2,torch.ones(4)) F.cosine_embedding_loss(x,y,torch.ones(4)) F.triplet_margin_loss(x,y,x*2)
F.cosine_similarity(x,y) F.pairwise_distance(x,y) F.conv2d(x[None,None],x[None,None]) F.conv1d(x[None],x[None])
F.conv_transpose2d(x[None,None],x[None,None]) F.max_pool2d(x[None,None],2) F.avg_pool2d(x[None,None],2)
F.adaptive_avg_pool2d(x[None,None],1) F.adaptive_avg_pool2d(x[None,None],2) F.interpolate(x[None,None],scale_factor=2)
F.pad(x,(1,1)) F.batch_norm(x,None,None,training=True) F.instance_norm(x[None,None]) F.group_norm(x[None],2)
F.scaled_dot_product_attention(x[None,None],y[None,None],y[None,None])
F.scaled_dot_product_attention(x[None,None],y[None,None],y[None,None],is_causal=True) F.unfold(x[None,None],2)
"""
VARIANTS = """
torch.addbmm(x,x[None],y[None]) torch.addcdiv(x,x,y) torch.addmv(v,x,v) torch.addr(x,v,v) torch.baddbmm(x[None],x[None],y[None])
torch.block_diag(x,y) torch.cholesky_inverse(x) x.cummax(0)[0] x.cummin(0)[0] torch.diag_embed(v) torch.diagonal_scatter(x,v)
torch.dist(x,y) torch.ldexp(x,y) x.mode(0)[0] torch.mv(x,v) torch.mvlgamma(x+5,2) torch.polar(x,y) x.renorm(2,0,1.)
torch.rsub(x,y) torch.select_scatter(x,v,0,1) torch.slice_scatter(x,y[:2],0,0,2) torch.vdot(v,v) F.celu(x)
F.channel_shuffle(x.view(1,4,2,2),2) F.embedding_bag(torch.tensor([[0,1]]),x) F.multi_margin_loss(x,torch.tensor([0,1,2,3]))
F.multilabel_margin_loss(x,torch.tensor([[0,1,-1,-1]]*4)) F.pdist(x) F.pixel_unshuffle(x[None,None],2)
F.soft_margin_loss(x,torch.ones(4,4)) torch.linalg.cross(x[:,:3],y[:,:3]) torch.linalg.cross(x[:3],y[:3],dim=0)
torch.linalg.householder_product(x,v) torch.linalg.matrix_exp(x) torch.linalg.qr(x)[0]
torch.linalg.solve_triangular(x,y,upper=True) torch.alias_copy(x) torch.as_strided_copy(x,(2,2),(1,2)) torch.diagonal_copy(x)
torch.expand_copy(x,(2,4,4)) torch.permute_copy(x,(1,0)) torch.t_copy(x) torch.transpose_copy(x,0,1) torch.unfold_copy(x,0,2,1)
torch.view_copy(x,(16,)) torch.split_with_sizes_copy(x,[2,2])[0] torch.unbind_copy(x)[0] torch.unsqueeze_copy(x,0)
torch.squeeze_copy(x) torch.squeeze_copy(x,0) torch.squeeze_copy(x[None],(0,1)) x[None].squeeze(0) x[None].squeeze((0,1))
x.aminmax()[0] x.aminmax(dim=0)[1] x.clamp_max(0.5) x.clamp_max(v) x.clamp_max(max=v) x.clamp_min(v) x.clamp_min(min=0.1)
torch.clamp_min(x,v) x.clamp(v,v) x.clamp(max=v) v.diag() x.diag(1) v.diagflat()
F.ctc_loss(x[:,None].log_softmax(2),torch.tensor([[1,2]]),torch.tensor([4]),torch.tensor([2]))
F.ctc_loss(x[:,None].log_softmax(2),torch.tensor([[1,2]]),torch.tensor([4]),torch.tensor([2]),0,'sum')
F.ctc_loss(x[:,None].log_softmax(2),torch.tensor([[1,2]]),torch.tensor([4]),torch.tensor([2]),reduction='none')
F.grid_sample(x[None,None],torch.zeros(1,2,2,2),align_corners=False)
F.grid_sample(x[None,None,None],torch.zeros(1,2,2,2,3),align_corners=False) x.index_fill(0,torch.tensor([0]),2.)
x.index_fill(0,torch.tensor([0]),v[0].detach()) torch.index_fill(x,0,torch.tensor([0]),value=2.) x.masked_fill(x>0.5,v[0])
x.masked_fill(mask=x>0.5,value=0.) torch.masked_fill(x,x>0.5,v[0]) x.clone().masked_fill_(x>0.5,v[0])
x.clone().index_fill_(0,torch.tensor([0]),1.) x.clone().index_fill_(0,torch.tensor([0]),v[0].detach()) x.lerp(y,y)
x.lerp(y,weight=0.5) x.lerp(y,weight=y) torch.lerp(x,y,v[0]) x.clone().lerp_(y,0.5) x.clone().lerp_(y,y)
F.interpolate(x[None],size=2) F.interpolate(x[None],size=2,mode='linear') F.interpolate(x[None,None],size=2,mode='bilinear')
F.interpolate(x[None,None],size=2,mode='bicubic') F.interpolate(x[None,None],size=2,mode='area')
F.interpolate(x[None,None],size=2,mode='nearest-exact') F.interpolate(x[None,None],size=2,mode='bilinear',antialias=True)
F.interpolate(x[None,None,None],size=2) F.interpolate(x[None,None,None],size=2,mode='trilinear')
F.interpolate(x[None,None],None,2.,'nearest') torch.linalg.lu_factor(x)[0] torch.linalg.lu(x)[1] x.max(y) x.min(y)
x.max(1,True)[0] x.min(0)[0] torch.max(x,other=y) x.median(0)[0] x.nanmedian(0)[0] x.nanmedian() x.msort() x.sort(0,True)[0]
x.sort(stable=True)[0] x.sort(stable=True,dim=0)[0] torch.normal(x,y) torch.normal(x,1.) torch.normal(0.,x) x.bernoulli()
torch.outer(x[0],v) F.pad(x[None],(1,1),'reflect') F.pad(x[None],(1,1),'replicate') F.pad(x[None],(1,1),'circular')
F.pad(x[None,None],(1,1,1,1),'reflect') F.pad(x[None,None],(1,1,1,1),'replicate') x.round() x.round(decimals=1)
F.rrelu(x,training=True) F.rrelu(x) x.scatter(0,torch.zeros(1,4,dtype=torch.long),y)
x.scatter(0,torch.zeros(1,4,dtype=torch.long),1.) x.scatter(0,torch.zeros(1,4,dtype=torch.long),src=y)
torch.scatter(x,0,torch.zeros(1,4,dtype=torch.long),value=2.) torch.linalg.solve_ex(x,y)[0] torch.triangular_solve(x,y)[0]
torch.unsafe_chunk(x,2)[0] torch.unsafe_split(x,2)[0] x.unfold(0,2,1) F.fold(x[None],(3,3),2,padding=0)
F.adaptive_avg_pool1d(x[None],2) F.adaptive_avg_pool3d(x[None,None,None],1) F.adaptive_avg_pool3d(x[None,None,None],2)
F.adaptive_max_pool1d(x[None],2) F.adaptive_max_pool2d(x[None,None],2) F.adaptive_max_pool3d(x[None,None,None],1)
F.avg_pool1d(x[None],2) F.avg_pool3d(x[None,None,None],(1,2,2)) F.max_pool1d(x[None],2)
F.max_pool3d(x[None,None,None],(1,2,2)) F.conv3d(x[None,None,None],x[None,None,None])
F.conv_transpose1d(x[None],x[:,None]) F.conv_transpose3d(x[None,None,None],x[None,None,None])
F.fractional_max_pool2d(x[None,None],2,2) torch.fft.ifft(x) torch.fft.fft(z) torch.fft.ifft(z) torch.fft.irfft(z)
torch.fft.hfft(z) torch.fft.ihfft(x) torch.fft.fft2(x) torch.fft.rfft2(x) torch.fft.irfft2(z) x.quantile(0.5) x.quantile(0.5,0)
x.nanquantile(0.5) torch.combinations(v) torch.linalg.eigh(x)[0] torch.linalg.svd(x)[1] 
torch.linalg.slogdet(x)[1] torch.linalg.pinv(x) torch.linalg.matrix_norm(x) torch.linalg.vector_norm(x)
F.gelu(x,approximate='tanh') x.logit() x.logit(0.1) x.xlogy(y) x.atan2(y) x.hypot(y) x.fmod(2.) x.fmod(y) x.remainder(y)
torch.float_power(x,2) x.div(y,rounding_mode='floor') x.div(2.,rounding_mode='trunc') x.floor_divide(y)
x.nan_to_num() x.copysign(y) x.index_copy(0,torch.tensor([0]),y[:1])
x.index_reduce(0,torch.tensor([0]),y[:1],'prod')
x.scatter_reduce(0,torch.zeros(1,4,dtype=torch.long),y,'amax')
x.put(torch.tensor([0]),v[:1]) x.index_put((torch.tensor([0]),),v) x.masked_scatter(x>0.5,y)
x.clone().index_put_((torch.tensor([0]),),v) torch.linalg.lu(x)[1] torch.linalg.lu(x)[2] torch.linalg.lu(x[:,:3])[2]
torch.lu_unpack(x,torch.tensor([1,2,3,4],dtype=torch.int32))[1]
torch.lu_unpack(x,torch.tensor([1,2,3,4],dtype=torch.int32))[2] torch.linalg.qr(x)[1] torch.linalg.qr(x[:,:0])[1]
torch.qr(x)[1] torch.triangular_solve(x,y)[1] torch.linalg.lstsq(x[:2],y[:2])[1] torch.split_with_sizes_copy(x,[2,2])[1]
torch.unbind_copy(x)[3] torch.native_group_norm(x,v,v,4,4,1,2,1e-5)[1] torch.fill(x,2.) torch.fill(x,v[0]) torch.trapezoid(x)
torch.trapezoid(x,y) torch.cumulative_trapezoid(x) torch.cumulative_trapezoid(x,y) torch.logdet(x@x.T+torch.eye(4))
torch.special.ndtr(x) F.linear(v,x,v) F.linear(x,y,v) F.cross_entropy(x,y) F.cross_entropy(x,y,reduction='sum')
F.cross_entropy(x,torch.tensor([0,1,2,3]),label_smoothing=0.1) F.margin_ranking_loss(x,y,torch.ones(4,4),reduction='none')
F.triplet_margin_loss(x,y,x*2,reduction='none') torch.fft.ihfft2(x) torch.unique(x) torch.unique_consecutive(x)
x.unique(dim=0)
"""
MODULES = """
nn.Linear(4,3)(x) nn.LayerNorm(4)(x) nn.BatchNorm1d(4)(x) nn.BatchNorm2d(1)(x[None,None]) nn.Conv2d(1,2,3)(x[None,None])
nn.LSTM(4,3)(x)[0] nn.GRU(4,3)(x)[0] nn.RNN(4,3)(x)[0] nn.GRU(4,3)(x[None])[1] nn.LSTMCell(4,3)(x)[0] nn.GRUCell(4,3)(x)
nn.MultiheadAttention(4,2)(x,x,x)[0] nn.MultiheadAttention(4,2,batch_first=True)(x[None],x[None],x[None])[0]
nn.TransformerEncoderLayer(4,2,8)(x) nn.TransformerEncoderLayer(4,2,8,batch_first=True)(x[None])
nn.Embedding(5,4)(torch.tensor([1])) nn.EmbeddingBag(5,4)(torch.tensor([[1,2]])) nn.Bilinear(4,4,2)(x,y)
nn.CrossEntropyLoss()(x,torch.tensor([0,1,2,3])) nn.MSELoss()(x,y) nn.BCELoss()(x,y.detach()) nn.BCEWithLogitsLoss()(x,y)
nn.NLLLoss()(x,torch.tensor([0,1,2,3])) nn.Softmax(1)(x) nn.ReLU()(x) nn.ReLU(True)(x*1) nn.Dropout()(x)
nn.Flatten()(x[None]) nn.Sequential(nn.Linear(4,4),nn.Tanh())(x) nn.MaxPool2d(2)(x[None,None])
nn.Upsample(scale_factor=2)(x[None,None]) nn.PixelShuffle(2)(x[None].expand(4,4,4)) nn.GroupNorm(2,4)(x[None])
nn.RMSNorm(4)(x) nn.CosineSimilarity()(x,y) nn.PReLU()(x) nn.Hardtanh()(x) nn.Identity()(x*1) nn.Unfold(2)(x[None,None])
nn.utils.parametrizations.weight_norm(nn.Linear(4,2))(x) nn.utils.rnn.pack_padded_sequence(x[None].transpose(0,1),[4]).data
"""
"""Expressions without spaces, except inside of brackets."""

KNOWN_EDGES = """
x+1 1+x x-1 1-x x*2 2*x x**2 2**x x**y x+y x-y x*y -x x.max() x.max(0)[0] x.amax(0) x.softmax(0) x.log_softmax(0)
torch.maximum(x,y) torch.linalg.cholesky(x@x.T+torch.eye(4)) F.relu(x) F.gelu(x) F.silu(x) F.elu(x) F.leaky_relu(x)
F.softplus(x) F.hardtanh(x) F.relu6(x) F.selu(x) F.mish(x) F.hardswish(x) F.hardsigmoid(x) F.logsigmoid(x) F.tanhshrink(x)
F.softsign(x) F.glu(x) F.prelu(x,v) F.threshold(x,0.1,0.) F.dropout(x,0.5) F.dropout(x,0.5,False) F.layer_norm(x,(4,))
F.embedding(torch.tensor([0,1]),x) F.one_hot(torch.tensor([0,1])).float()*x[0,0] F.mse_loss(x,y) F.l1_loss(x,y)
F.smooth_l1_loss(x,y) F.huber_loss(x,y) F.nll_loss(x,torch.tensor([0,1,2,3])) F.binary_cross_entropy(x,y.detach())
F.binary_cross_entropy_with_logits(x,y) F.kl_div(x,y) F.poisson_nll_loss(x,y) F.gaussian_nll_loss(x,y,y)
F.hinge_embedding_loss(x,torch.ones(4,4)) F.cosine_embedding_loss(x,y,torch.ones(4)) F.conv2d(x[None,None],x[None,None])
F.conv1d(x[None],x[None]) F.max_pool2d(x[None,None],2) F.avg_pool2d(x[None,None],2) F.adaptive_avg_pool2d(x[None,None],1)
F.adaptive_avg_pool2d(x[None,None],2) F.interpolate(x[None,None],scale_factor=2) F.pad(x,(1,1))
F.scaled_dot_product_attention(x[None,None],y[None,None],y[None,None])
F.scaled_dot_product_attention(x[None,None],y[None,None],y[None,None],is_causal=True) F.unfold(x[None,None],2)
nn.LayerNorm(4)(x) nn.Conv2d(1,2,3)(x[None,None]) nn.RNN(4,3)(x)[0]
nn.LSTMCell(4,3)(x)[0] nn.GRUCell(4,3)(x) nn.MultiheadAttention(4,2)(x,x,x)[0]
nn.MultiheadAttention(4,2,batch_first=True)(x[None],x[None],x[None])[0] nn.TransformerEncoderLayer(4,2,8)(x)
nn.Embedding(5,4)(torch.tensor([1])) nn.Bilinear(4,4,2)(x,y)
nn.MSELoss()(x,y) nn.BCELoss()(x,y.detach()) nn.BCEWithLogitsLoss()(x,y) nn.NLLLoss()(x,torch.tensor([0,1,2,3]))
nn.Softmax(1)(x) nn.ReLU()(x) nn.ReLU(True)(x*1) nn.Dropout()(x) nn.Flatten()(x[None])
nn.Sequential(nn.Linear(4,4),nn.Tanh())(x) nn.MaxPool2d(2)(x[None,None]) nn.Upsample(scale_factor=2)(x[None,None])
nn.PixelShuffle(2)(x[None].expand(4,4,4)) nn.GroupNorm(2,4)(x[None]) nn.PReLU()(x) nn.Hardtanh()(x) nn.Identity()(x*1)
nn.Unfold(2)(x[None,None])
"""
"""Those whose nodes also have torch's edges."""


def split(text: str) -> list[str]:
    """The expressions of a text: spaces inside brackets do not separate them."""
    found, depth, current = [], 0, ""
    for letter in text.replace("\n", " "):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and not depth:
            found += [current] if current else []
            current = ""
        else:
            current += letter
    return found


def names(torch: Any, rng: Any) -> dict[str, Any]:
    """The variables of the expressions."""
    x, y, v = (rng.tensor(rng.numbers.random(shape), "float32", grad=True) for shape in ((4, 4), (4, 4), (4,)))
    return {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "x": x, "y": y, "v": v, "z": torch.complex(x, y)}


@pytest.mark.parametrize("text", [TENSORS, FUNCTIONS, VARIANTS, MODULES], ids=["tensors", "functions", "variants", "modules"])
@twin
def test_nodes_have_the_names_of_torch(torch: Any, rng: Any, text: str) -> Any:
    known = names(torch, rng)

    def name_of(expression: str) -> Any:
        node = eval(expression, dict(known)).grad_fn
        return node and node.name()

    return {expression: outcome(lambda e=expression: name_of(e)) for expression in split(text)}


PRODUCTS = "v@x x@v v@v x[None]@x x@x[None] x[None]@v v@x[None] x[None]@x[None] x@x[0,:,None] x[:1]@x v@x[:,:0] "
WRITTEN_OFTEN = "F.pad(x[None],(1,1),'circular') x.quantile(0.5) x.quantile(0.5,0) x.nanquantile(0.5) "
"""Results that torch makes by writing, where mini_dl does not."""


@pytest.mark.parametrize("text", [TENSORS + PRODUCTS, FUNCTIONS, VARIANTS], ids=["tensors", "functions", "variants"])
@twin
def test_results_have_been_written_to_as_often_as_those_of_torch(torch: Any, rng: Any, text: str) -> Any:
    known = names(torch, rng)
    chosen = [expression for expression in split(text) if expression not in split(WRITTEN_OFTEN)]
    return {expression: outcome(lambda e=expression: eval(e, dict(known))._version) for expression in chosen}


@twin
def test_nodes_lead_where_those_of_torch_lead(torch: Any, rng: Any) -> Any:
    known = names(torch, rng)
    found = {}
    for expression in split(KNOWN_EDGES):
        node = eval(expression, dict(known)).grad_fn
        found[expression] = [node and node.name() for node, _ in (node.next_functions if node else ())]
    return found


@twin
def test_the_walk_of_the_first_tutorial_meets_the_layers(torch: Any, rng: Any) -> Any:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    loss = torch.nn.MSELoss()(net(rng(5, 3)), rng(5, 1))
    linear = loss.grad_fn.next_functions[0][0]
    relu = linear.next_functions[1][0]
    return [node.name() for node in (loss.grad_fn, linear, linear.next_functions[0][0], relu, relu.next_functions[0][0])]


@twin
def test_a_result_that_is_the_argument_keeps_its_name(torch: Any, rng: Any) -> Any:
    x = rng(3, 4, grad=True).exp()
    return [
        y.grad_fn.name() for y in (x, torch.nn.functional.dropout(x, 0.5, False), torch.nn.functional.pad(x, (0, 0)), x.float())
    ]


@twin
def test_gradients_and_hooks_do_not_mind_the_name(torch: Any, rng: Any) -> Any:
    seen = []
    x = rng(3, 4, grad=True)
    loss = torch.nn.functional.mse_loss(x * 2, rng(3, 4))
    loss.grad_fn.register_prehook(lambda grads: seen.append(grads[0]))
    (first,) = torch.autograd.grad(loss, x, create_graph=True)
    first.pow(2).sum().backward()
    return seen, first, x.grad, loss.grad_fn.name()


def a_write_to_a_part(torch: Any, y: Any) -> Any:
    w = y.clone()
    part = w[0]
    part.mul_(2)
    found = part * part
    part.add_(1)
    return found


def a_write_to_a_constant(torch: Any, y: Any) -> Any:
    w = torch.ones(3, 4)
    found = y * w
    w.add_(1)
    return found


def a_write_to_a_loss(torch: Any, y: Any) -> Any:
    w = torch.nn.functional.mse_loss(y, y.detach(), reduction="none")
    found = w * w
    w.add_(1)
    return found


def a_write_to_a_result(torch: Any, y: Any) -> Any:
    return y.sigmoid().mul_(2)


@pytest.mark.parametrize("write", [a_write_to_a_part, a_write_to_a_constant, a_write_to_a_loss, a_write_to_a_result])
@twin
def test_what_was_written_is_named_by_its_operation(torch: Any, rng: Any, write: Any) -> Any:
    return message(lambda: write(torch, rng(3, 4, grad=True)).sum().backward())


@twin
def test_the_nodes_of_short_transforms(torch, rng):
    x, options = rng(2, 8, grad=True), {"window": torch.ones(4)}
    made = [torch.stft(one, 4, return_complex=whole, **options) for one in (x, x[0]) for whole in (True, False)]
    return [type(one.grad_fn).__name__ for one in made]
