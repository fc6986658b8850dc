"""Only the layers: a denoising network on a HEALPix map in a training loop of one's own."""

import torch
from torch import nn

import deepsphere as ds

sampling = ds.Healpix(nside=16)
graph = ds.build_graph(sampling, num_neighbors=20)
random = torch.Generator().manual_seed(0)

# smooth random fields: white noise diffused by the heat kernel of the graph
white = torch.randn(64, sampling.num_vertices, 1, generator=random)
smooth = ds.graph.filter_signal(graph, white.double().numpy(), ds.graph.heat(3 / graph.lambda_max))
clean = torch.as_tensor(smooth, dtype=torch.float32)
clean = clean / clean.std()
noisy = clean + 0.5 * torch.randn(clean.shape, generator=random)

torch.manual_seed(0)
network = nn.Sequential(
    ds.layers.ConvBlock(graph, in_channels=1, out_channels=16, kernel_size=5),
    ds.layers.ChebConv(graph, in_channels=16, out_channels=1, kernel_size=5),
)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
for step in range(60):
    batch = torch.randint(48, (16,), generator=random)
    loss = nn.functional.mse_loss(network(noisy[batch]), clean[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")

network.eval()
with torch.no_grad():
    error = nn.functional.mse_loss(network(noisy[48:]), clean[48:]).item()
print(f"mean squared error on 16 unseen maps: {error:.4f} (noisy maps: 0.25)")
assert error < 0.15
