"""The network of these examples. It takes the library as an argument: mini_dl, or torch."""


def digits_network(torch):
    """(N, 1, 8, 8) gray values from 0 to 1 -> (N, 10) scores."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
