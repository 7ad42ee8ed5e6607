import torch

from training.networks.cell_network import CellNetwork


def test_the_network_has_the_promised_shapes() -> None:
    logits, descriptors = CellNetwork(descriptor_size=24, width=16)(torch.rand(2, 1, 64, 96) * 255)
    assert logits.shape == (2, 64, 8, 12) and descriptors.shape == (2, 24, 8, 12)
