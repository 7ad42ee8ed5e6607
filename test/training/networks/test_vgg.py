import pytest
import torch

from training.networks.vgg import (
    VGG11_SCALES,
    VGG19_SCALES,
    VggCellNetwork,
    VggDetector,
    VggEncoder,
    standardise_colour,
)

TINY = ((4,), (6,), (8, 8), (10,))


def test_the_scales_are_the_papers() -> None:
    with torch.device("meta"):
        features = VggEncoder(VGG19_SCALES)(torch.empty(1, 3, 64, 96))
        coarser = VggEncoder(VGG11_SCALES)(torch.empty(1, 1, 64, 96))
    sizes = [(64, 64, 96), (128, 32, 48), (256, 16, 24), (512, 8, 12)]
    assert [tuple(scale.shape[1:]) for scale in features] == sizes
    assert [tuple(scale.shape[1:]) for scale in coarser] == sizes


def test_layers_are_numbered_as_torchvisions() -> None:
    """vgg19_bn: the convolutions are features.0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36."""
    with torch.device("meta"):
        names = VggEncoder(VGG19_SCALES).state_dict()
    convolutions = [int(name.split(".")[1]) for name, value in names.items() if value.ndim == 4]
    assert convolutions == [0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36]
    assert {"features.1.running_mean", "features.37.running_var"} <= set(names)


def test_published_weights_are_taken_and_what_is_deeper_left_out() -> None:
    torch.manual_seed(0)
    one, two = VggEncoder(TINY), VggEncoder(TINY)
    two.load_public(one.state_dict() | {"features.99.weight": torch.zeros(1), "classifier.0.weight": torch.zeros(1)})
    assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())
    with pytest.raises(KeyError):
        two.load_public({})


def test_a_grey_image_is_a_colour_image_without_colour() -> None:
    grey = 255 * torch.rand(2, 1, 4, 4)
    torch.testing.assert_close(standardise_colour(grey), standardise_colour(grey.expand(-1, 3, -1, -1)))


def test_the_detector_gives_cell_wise_logits_that_depend_on_every_scale() -> None:
    torch.manual_seed(0)
    network = VggDetector(TINY, blocks=1).eval()
    images = (255 * torch.rand(1, 1, 32, 40)).requires_grad_()
    logits, descriptors = network(images)
    assert logits.shape == (1, 64, 4, 5) and descriptors is None
    logits.square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in network.decoder.parameters())


def test_one_batch_is_overfitted() -> None:
    """A bright dot in each image, and the network learns to find it."""
    torch.manual_seed(0)
    images = 20 * torch.rand(2, 1, 32, 32)
    images[0, 0, 9, 20] = images[1, 0, 25, 6] = 255
    network = VggDetector(TINY, blocks=1)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(40):
        logits, _ = network(images)
        pixels = torch.nn.functional.pixel_shuffle(logits, 8).flatten(1)
        loss = torch.nn.functional.cross_entropy(pixels, torch.tensor([9 * 32 + 20, 25 * 32 + 6]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5


def test_superpoints_shape_has_its_strides_and_sizes() -> None:
    with torch.device("meta"):
        logits, descriptors = VggCellNetwork()(torch.empty(1, 1, 64, 96))
    assert logits.shape == (1, 64, 8, 12) and descriptors.shape == (1, 256, 8, 12)
