"""What a training method is, and what all methods share: settings, the trained network, and what of it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Generic, TypeVar

from torch import Tensor, nn

from training.data.augmentation import AugmentationSettings
from training.data.frame_batches import Knowledge
from training.data.sampling import FrameSampler
from training.data.sequence import Sequence
from training.frame_batch import FrameBatch
from training.methods.freezing import freeze_descriptors
from training.methods.training_data import DataSettings
from training.networks.making import NetworkChoice
from training.optimisation import TrainerSettings
from training.policy import Policy
from training.precision import Precision


class Trained(Enum):
    """What of the network a method changes."""

    EVERYTHING = "everything"
    #: Only what nothing but the logits depends on: the descriptors stay what they were, to the bit.
    DETECTOR = "detector"


def square(side: int = 256) -> AugmentationSettings:
    """Square crops of ``side`` pixels, with changes of light and lens."""
    return AugmentationSettings(width=side, height=side, zoom=0.7)


@dataclass(frozen=True)
class MethodConfig(TrainerSettings):
    """What all methods can set, beside all of :class:`training.optimisation.TrainerSettings`.

    :ivar method: name in :mod:`training.methods.registry`; a config file tells by it whose it is.
    :ivar start: checkpoint (``last.pt``) of a pre-training or of another method's run, whose network is trained on; its
        ``network`` comes with it. None starts from random weights.
    :ivar network: without ``start``.
    :ivar trained: what of the network.
    :ivar data: what it is trained on.
    :ivar image: size of the images and changes to them.
    :ivar batch_size: items a batch.
    :ivar seed: of the weights and of all random choices.
    :ivar threads: of torch.
    """

    method: str = ""
    start: Path | None = None
    network: NetworkChoice = field(default_factory=NetworkChoice)
    trained: Trained = Trained.EVERYTHING
    data: DataSettings = field(default_factory=DataSettings)
    image: AugmentationSettings = field(default_factory=square)
    batch_size: int = 4
    seed: int = 0
    threads: int = 1
    precision: Precision = Precision.BF16

    @property
    def ancestors(self) -> list[Path]:
        """Checkpoints whose networks this run is made of: what trained them counts as what trains this one."""
        return [] if self.start is None else [self.start]


class MethodObjective(nn.Module):
    """An objective as :func:`training.trainer.train` has it, with the network in ``policy.network``.

    A method derives from it and writes ``forward``. What it learns beside the network (a temperature, a baseline) is a
    parameter or buffer of its own.

    :param network: a :class:`training.policy.DenseNetwork`.
    """

    def __init__(self, config: MethodConfig, network: nn.Module) -> None:
        super().__init__()
        self.policy = Policy(network, config.precision)
        # A tuple, so that torch does not take them for submodules a second time.
        self._frozen = freeze_descriptors(network) if config.trained is Trained.DETECTOR else ()

    def train(self, mode: bool = True) -> MethodObjective:
        """The batch statistics of what is frozen must not move either."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, batch: FrameBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and figures for the log: ``reward``, ``hit_rate``, ``entropy``, ``acceptance`` ..."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")


Config = TypeVar("Config", bound=MethodConfig)


@dataclass(frozen=True)
class Method(Generic[Config]):
    """One training method.

    :ivar name: on the command line and in the model's metadata; its configs are ``training/configs/NAME.yaml`` (the
        small setting, which trains on two processors) and ``NAME_paper.yaml``.
    :ivar config: frozen dataclass, derived from :class:`MethodConfig`.
    :ivar knowledge: what it must know of its frames.
    :ivar objective: makes the objective from a configuration and the network to train.
    :ivar sampler: makes what chooses the frames of an item.
    """

    name: str
    config: type[Config]
    knowledge: Knowledge
    objective: Callable[[Config, nn.Module], MethodObjective]
    sampler: Callable[[Config, list[Sequence]], FrameSampler]
