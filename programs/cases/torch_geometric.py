"""torch_geometric: convolutions over graphs, without its compiled extensions."""

import torch
import torch_geometric.nn as g
from torch_geometric.data import Batch, Data
from torch_geometric.utils import to_dense_adj, to_undirected

from programs.case import CASES, Case, function

EDGES = torch.tensor([[0, 1, 1, 2, 3, 4, 0, 5], [1, 0, 2, 1, 4, 3, 5, 0]])


def convolution(name, build):
    def run():
        layer = build()
        x = torch.randn(6, 4, requires_grad=True)
        y = layer(x, EDGES)
        y.square().sum().backward()
        return {"result": y, "gradient": x.grad, "parameters": {name: p.grad for name, p in layer.named_parameters()}}

    CASES[name] = Case(run)


for kind in "GCNConv SAGEConv GATConv GATv2Conv GraphConv TAGConv ClusterGCNConv LEConv TransformerConv".split():
    convolution(kind, lambda kind=kind: getattr(g, kind)(4, 3))
convolution("ChebConv", lambda: g.ChebConv(4, 3, K=2))
convolution("GINConv", lambda: g.GINConv(torch.nn.Linear(4, 3)))
convolution("SGConv", lambda: g.SGConv(4, 3, K=2))
convolution("APPNP", lambda: g.APPNP(3, 0.1))


@function
def batches():
    one = Data(x=torch.randn(6, 4), edge_index=EDGES, y=torch.tensor([1]))
    batch = Batch.from_data_list([one, one])
    pooled = g.global_mean_pool(batch.x, batch.batch), g.global_max_pool(batch.x, batch.batch)
    return batch.edge_index, batch.batch, pooled, to_dense_adj(EDGES), to_undirected(EDGES)
