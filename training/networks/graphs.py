"""Which graph a network is exported in."""

from __future__ import annotations

from torch import nn

from training.networks.cell_network import CellNetwork
from training.networks.detector_graph import DetectorGraph
from training.networks.hyper_column import HyperColumnGraph, HyperColumnNetwork
from training.networks.keypoint_graph import KeypointGraph
from training.networks.keypoint_network import KeypointNetwork
from training.networks.rdd_descriptor import RddGraph, RddNetwork
from training.networks.vgg import VggCellNetwork

#: What can be exported: whatever detects and describes.
ExportableNetwork = KeypointNetwork | CellNetwork | VggCellNetwork | HyperColumnNetwork | RddNetwork


def make_graph(network: nn.Module, max_keypoints: int) -> DetectorGraph:
    """The network with the post-processing that its descriptors need."""
    if isinstance(network, HyperColumnNetwork):
        return HyperColumnGraph(network, max_keypoints)
    if isinstance(network, RddNetwork):
        return RddGraph(network, max_keypoints)
    if isinstance(network, KeypointNetwork):
        return KeypointGraph(network, max_keypoints)
    return DetectorGraph(network, max_keypoints)
