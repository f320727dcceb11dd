# expect: a PyTorch module
# at: torch
import torch


class Net(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        pairs = zip(sizes[:-1], sizes[1:])
        self.layers = torch.nn.ModuleList(torch.nn.Linear(*pair) for pair in pairs)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return x
