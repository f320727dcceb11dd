"""A gradient by PyTorch's autograd, of a module with one Linear for each layer.

Examine it with: python -m jaxnet compare --candidate my_torch.py
"""

import torch  # type: ignore


class Net(torch.nn.Module):
    """Layers of sigmoid neurons, with the quadratic cost."""

    def __init__(self, sizes):
        """Layers of these sizes, inputs first."""
        super().__init__()
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(m, n) for m, n in pairs)

    def forward(self, x):
        """The outputs, of rows of examples."""
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return x

    def loss(self, x, y):
        """The mean quadratic cost of a mini-batch."""
        return ((self(x) - y) ** 2).sum(dim=1).mean() / 2
