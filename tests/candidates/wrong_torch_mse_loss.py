# expect: BP1 3: a mean of squares over the 5 outputs, as PyTorch's MSELoss
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

    def loss(self, x, y):
        return torch.nn.functional.mse_loss(self(x), y)
