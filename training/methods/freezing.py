"""Training a detector whose descriptors must stay what they are."""

from __future__ import annotations

import torch
from torch import nn

from kp_ros.errors import UserError


def freeze_descriptors(network: nn.Module) -> tuple[nn.Module, ...]:
    """Take every parameter that the descriptors depend on out of training.

    :param network: a :class:`training.policy.DenseNetwork` of grey images.
    :returns: the modules that must stay in evaluation mode.
    :raises UserError: nothing but the logits' own is left to train, or there are no descriptors.
    """
    of_descriptors = descriptor_parameters(network)
    for parameter in of_descriptors:
        parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UserError(
            "all of this network makes descriptors, so there is no detector alone to train; set trained=everything"
        )
    frozen = {id(parameter) for parameter in of_descriptors}
    return tuple(
        module
        for module in network.modules()
        if any(id(parameter) in frozen for parameter in module.parameters(recurse=False))
    )


def descriptor_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Parameters that descriptors depend on, found by gradient: so any network will do, whatever its parts are called.

    :raises UserError: the network has no descriptors.
    """
    mode, random = network.training, torch.get_rng_state()
    network.eval()
    image = 255 * torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    _, descriptors = network(image)
    network.train(mode)
    torch.set_rng_state(random)
    if descriptors is None:
        raise UserError("this network has no descriptors to keep; set trained=everything")
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(descriptors.square().sum(), parameters, allow_unused=True)
    # None, not zero: a dead ReLU's weight has gradient zero and matters all the same.
    return [parameter for parameter, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
