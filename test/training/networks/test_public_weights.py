from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from kp_ros.errors import UserError
from training.networks.hyper_column import HyperColumnNetwork
from training.networks.keypoint_network import KeypointNetwork
from training.networks.making import NetworkChoice, make_network, start_network
from training.networks.public_weights import DINOV3_CONVNEXT_BASE, FROM_HUB, VGG19, load_public_encoder
from training.networks.rdd_descriptor import RddNetwork

TINY = {"scales": [[4], [6], [8], [10]], "blocks": 1, "descriptor_size": 12}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_message_says_what_to_do() -> None:
    choice = NetworkChoice("hyper_column", dict(TINY), FROM_HUB)
    with pytest.raises(UserError, match=r"VGG-19 .* cannot be fetched from https://download.pytorch.org") as caught:
        start_network(choice)
    assert "network.encoder=FILE" in str(caught.value) and "network.encoder=null" in str(caught.value)
    # A trained network is loaded without its beginnings.
    assert isinstance(make_network(choice), HyperColumnNetwork)


@pytest.mark.usefixtures("no_network")
def test_weights_that_are_handed_out_on_request_say_by_whom() -> None:
    network = RddNetwork(4, depths=[1] * 4, channels=[4] * 4, descriptor_size=8, layers=1, heads=1, places=1)
    with pytest.raises(UserError, match=r"dinov3-downloads"):
        load_public_encoder(network, FROM_HUB)


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = HyperColumnNetwork(**TINY).encoder.state_dict()  # type: ignore[arg-type]
    torch.save(published | {"classifier.0.weight": torch.zeros(3)}, tmp_path / "vgg.pth")
    network = start_network(NetworkChoice("hyper_column", dict(TINY), str(tmp_path / "vgg.pth")))
    assert isinstance(network, HyperColumnNetwork)
    assert all(torch.equal(value, network.encoder.state_dict()[name]) for name, value in published.items())


def test_a_wrong_or_missing_file_is_named(tmp_path: Path) -> None:
    network = HyperColumnNetwork(**TINY)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"none.pth is no file of weights of VGG-19"):
        load_public_encoder(network, str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(UserError, match=r"text.pth is no file of weights"):
        load_public_encoder(network, str(tmp_path / "text.pth"))
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"does not hold the weights of VGG-19"):
        load_public_encoder(network, str(tmp_path / "other.pth"))


def test_a_network_of_our_own_has_no_public_encoder() -> None:
    with pytest.raises(UserError, match=r"leave network.encoder out"):
        load_public_encoder(KeypointNetwork(16, 16), FROM_HUB)


def test_file_names_hold_their_hash_which_torch_checks() -> None:
    for published in (VGG19, DINOV3_CONVNEXT_BASE):
        assert torch.hub.HASH_REGEX.search(published.url), published
