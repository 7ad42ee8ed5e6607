from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kp_ros.errors import UserError
from training.checkpoint import Checkpoint, CheckpointError, save_checkpoint
from training.networks.making import NetworkChoice, make_network
from training.runs import CONFIG, begin_with, load_network, method_of_run, network_of_run


def write_run(folder: Path, config: str, choice: NetworkChoice, prefix: str) -> Path:
    (folder / CONFIG).write_text(config)
    state = {prefix + name: value for name, value in make_network(choice).state_dict().items()}
    save_checkpoint(Checkpoint(3, state | {"baseline.mean": torch.zeros(())}, {}, []), folder / "last.pt")
    return folder / "last.pt"


@pytest.mark.parametrize("prefix", ["policy.network.", "network."])
def test_the_network_comes_with_the_shape_that_the_run_says(tmp_path: Path, prefix: str) -> None:
    choice = NetworkChoice(settings={"descriptor_size": 16, "width": 16})
    config = "method: dad\nnetwork: {name: keypoint, settings: {descriptor_size: 16, width: 16}}\n"
    file = write_run(tmp_path, config, choice, prefix)
    network = load_network(file)
    assert not network.training and network_of_run(file) == choice and method_of_run(file) == "dad"
    assert network(torch.zeros(1, 1, 64, 64))[1].shape == (1, 16, 8, 8)


def test_a_run_that_names_no_method_is_a_pre_training(tmp_path: Path) -> None:
    file = write_run(tmp_path, "steps: 3\n", NetworkChoice(), "network.")
    assert method_of_run(file) == "pretraining"
    assert len(load_network(file).state_dict()) == len(make_network(NetworkChoice()).state_dict())


def test_a_checkpoint_of_another_shape_says_where_to_look(tmp_path: Path) -> None:
    file = write_run(tmp_path, "steps: 3\n", NetworkChoice(settings={"width": 16}), "network.")
    with pytest.raises(CheckpointError, match=r"another network than .*config\.yaml"):
        load_network(file)


def test_a_run_lends_another_network_the_parts_that_both_have(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    file = write_run(
        tmp_path, "network: {name: cells, settings: {width: 16}}\n", NetworkChoice("cells", {"width": 16}), "network."
    )
    lender, borrower = (
        load_network(file).state_dict(),
        begin_with(file, NetworkChoice(settings={"width": 16})).state_dict(),
    )
    assert "begin anew: score." in caplog.text
    shared = {name for name, value in borrower.items() if name in lender and lender[name].shape == value.shape}
    assert {"describe.weight", "trunk.stride8.0.weight"} <= shared
    assert all(torch.equal(lender[name], borrower[name]) for name in shared)
    narrow, wide = (state["trunk.stride4.0.0.weight"] for state in (lender, borrower))
    assert torch.equal(wide[..., 1:-1, 1:-1], narrow) and wide.count_nonzero() == narrow.count_nonzero()
    with pytest.raises(CheckpointError, match="no part"):
        begin_with(file, NetworkChoice("vgg"))


def test_unknown_networks_and_settings_are_named() -> None:
    with pytest.raises(UserError, match="'vgg1'"):
        make_network(NetworkChoice("vgg1"))
    with pytest.raises(UserError, match="depth"):
        make_network(NetworkChoice(settings={"depth": 3}))
