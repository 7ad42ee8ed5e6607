"""RIPE on scenes whose every match is known: what pays is learned, and what must not count does not."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from carried_camera import Recording, write_bag
from small_scenes import train_whole_and_resumed

from kp_ros.detectors import load_detector
from training.data.augmentation import AugmentationSettings
from training.data.bags.conversion import convert
from training.data.bags.planning import ConversionOptions
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.export import export
from training.frame_batch import FrameBatch
from training.methods.ripe import RIPE, Ripe, RipeConfig, accepted_log_probability, invalid_around, ramp, sample_inside
from training.methods.training_data import DataSettings
from training.networks.keypoint_network import KeypointNetwork
from training.networks.making import NetworkChoice
from training.precision import Precision
from training.runs import load_network
from training.samplers.samples import Samples
from training.schedules import Schedule

HEIGHT, WIDTH = 64, 96


def small(**changes: object) -> RipeConfig:
    values: dict[str, object] = {
        "steps": 100,
        "precision": Precision.FP32,
        "border": 2,
        "fewest_points": 8,
        "acceptance_offset": 5.0,
        "policy_weight": 1000.0,
        "keypoint_cost": Schedule(),
    }
    return RipeConfig(**(values | changes))  # type: ignore[arg-type]


def texture(seed: int, width: int = WIDTH) -> np.ndarray:
    rng = np.random.default_rng(seed)
    blurred = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, width)).astype(np.float32), (0, 0), 1.5)
    return np.asarray(cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX), np.float32)


def same_and_other() -> FrameBatch:
    """One pair of a wall seen 8 px further on, and one of two walls."""
    wide = texture(0, WIDTH + 8)
    images = np.stack([np.stack([wide[:, :WIDTH], wide[:, 8:]]), np.stack([texture(1), texture(2)])])
    return FrameBatch(
        torch.from_numpy(images)[:, :, None], torch.ones(2, 2, HEIGHT, WIDTH, dtype=torch.bool), torch.tensor([1, -1])
    )


def figures_over(objective: Ripe, batch: FrameBatch, steps: int) -> list[dict[str, float]]:
    optimiser = torch.optim.Adam(objective.parameters(), 3e-3)
    history = []
    for _ in range(steps):
        loss, figures = objective(batch, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append({name: float(value) for name, value in figures.items()})
    return history


def test_one_batch_is_overfitted_from_random_weights() -> None:
    """Nothing but "same" and "another" is told; repeated points and descriptors that find them come of it."""
    torch.manual_seed(0)
    history = figures_over(Ripe(small(), KeypointNetwork(16, 16)).train(), same_and_other(), 160)

    def mean(name: str, part: slice) -> float:
        return float(np.nanmean([figures[name] for figures in history[part]]))

    first, last = slice(20), slice(-20, None)
    assert mean("reward", last) > mean("reward", first) + 6
    assert mean("inliers_same", last) > 2 * mean("inliers_other", last)
    assert mean("hinge", last) < mean("hinge", first)


def test_a_pair_with_too_few_points_is_skipped_and_its_loss_can_be_propagated() -> None:
    torch.manual_seed(0)
    objective = Ripe(small(acceptance_offset=-20.0, keypoint_cost=Schedule(start=-1.0)), KeypointNetwork(16, 16))
    loss, figures = objective(same_and_other(), 0)
    loss.backward()
    assert float(figures["skipped_pairs"]) == 1.0 and float(loss.detach()) == 0.0
    gradients = [p.grad for p in objective.parameters() if p.grad is not None]
    assert gradients and all(not gradient.any() for gradient in gradients)


def test_matches_of_too_few_points_have_no_inliers() -> None:
    torch.manual_seed(0)
    _, figures = Ripe(small(fewest_matches=1000), KeypointNetwork(16, 16))(same_and_other(), 0)
    assert float(figures["matches"]) > 0
    assert float(figures["inliers_same"]) == float(figures["inliers_other"]) == float(figures["reward"]) == 0


def test_outliers_cost_what_the_variant_says() -> None:
    torch.manual_seed(0)
    _, figures = Ripe(small(fewest_matches=1000, outlier_reward=-0.1), KeypointNetwork(16, 16))(same_and_other(), 0)
    assert float(figures["reward"]) == pytest.approx(-0.1 * float(figures["matches"]))


def test_points_near_the_edge_and_near_padding_are_drawn_and_take_no_part() -> None:
    torch.manual_seed(0)
    valid = torch.ones(1, 64, 64, dtype=torch.bool)
    valid[:, :, 48:] = False
    drawn = sample_inside(torch.full((1, 64, 64), 20.0), valid, 8, 5)
    x, y = drawn.keypoints[drawn.accepted].unbind(-1)
    assert len(x) > 20
    assert x.min() >= 5 and y.min() >= 5 and y.max() <= 58 and x.max() <= 42
    assert int(drawn.valid.sum()) == 48 and bool((drawn.log_probabilities[drawn.valid] < 0).all())


def test_what_is_around_a_point_is_counted() -> None:
    valid = torch.ones(1, 6, 9, dtype=torch.bool)
    valid[0, 2, 4] = False
    points = torch.tensor([[[4.0, 2], [5, 3], [6, 3], [0, 5], [7, 1]]])
    # A corner sees 5 pixels outside the image.
    assert invalid_around(valid, points, 1).tolist() == [[1, 1, 0, 5, 0]]
    assert invalid_around(valid, points, 0).tolist() == [[1, 0, 0, 0, 0]]


def test_the_keypoint_cost_makes_points_rarer_but_not_in_skipped_pairs() -> None:
    log_probabilities = torch.full((2, 4), -1.0, requires_grad=True)
    accepted = torch.tensor([[True, True, False, False], [True, False, False, False]])
    samples = Samples(torch.zeros(2, 4, 2), log_probabilities, torch.ones(2, 4, dtype=torch.bool), accepted)
    cost = -0.5 * accepted_log_probability([samples, samples], torch.tensor([True, False]))
    cost.backward()
    # Twice (two images) half a unit for each of the two points of the first pair, mean over two pairs.
    assert log_probabilities.grad is not None
    torch.testing.assert_close(log_probabilities.grad, 0.5 * torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]]))


def test_the_ramp_ends_after_a_third() -> None:
    assert [ramp(-6e-8).at(progress) for progress in (0.0, 1 / 6, 1 / 3, 1.0)] == pytest.approx(
        [0, -3e-8, -6e-8, -6e-8]
    )


@pytest.fixture(scope="module")
def images_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of nothing but images, made into a data set."""
    folder = tmp_path_factory.mktemp("images_alone")
    world = RenderedWorlds(1, settings=RenderedSettings(160, 128, 6, 4.0, rooms=1.0))[0]
    bag = write_bag(folder / "drive.mcap", list(world), Recording(info=False, depth="", poses=""))
    report = convert(bag, folder / "drive", ConversionOptions())
    assert report.kept >= 4 and not (folder / "drive" / "poses_tum.txt").exists()
    return folder / "drive"


def test_it_learns_from_a_bag_of_images_resumes_exports_and_runs(images_alone: Path, tmp_path: Path) -> None:
    config = small(
        steps=4,
        method="ripe",
        negatives=0.0,
        batch_size=1,
        network=NetworkChoice(settings={"descriptor_size": 16, "width": 16}),
        image=AugmentationSettings(width=96, height=64),
        data=DataSettings([images_alone], split=1.0),
        checkpoint_every=2,
        loader_processes=0,
        accelerator="cpu",
    )
    checkpoint = train_whole_and_resumed(RIPE, config, tmp_path)
    model = tmp_path / "ripe.onnx"
    images = sorted((images_alone / "images").iterdir())[:1]
    metadata = {"name": "ripe", "method": "ripe", "data": "rendered", "licence": "Apache-2.0"}
    export(load_network(checkpoint), model, metadata, images, max_keypoints=64)
    features = load_detector(model)(cv2.imread(str(images[0])))
    assert len(features) > 0 and features.descriptors.shape[1] == 16
