import pytest
import torch

from training.frame_batch import FrameBatch, join


def make_batch(size: int = 2, depth: bool = True, pixel: float = 0.0) -> FrameBatch:
    return FrameBatch(
        images=torch.full((size, 3, 1, 4, 6), pixel),
        valid=torch.ones(size, 3, 4, 6, dtype=torch.bool),
        label=torch.ones(size, dtype=torch.int64),
        intrinsics=torch.eye(3).expand(size, 3, 3, 3),
        pose=torch.eye(4).expand(size, 3, 4, 4),
        depth=torch.arange(3.0).reshape(1, 3, 1, 1).expand(size, 3, 4, 6) if depth else None,
    )


def test_a_wrong_shape_or_type_is_named() -> None:
    batch = make_batch()
    with pytest.raises(ValueError, match=r"label must be torch\.int64 \[2\]"):
        FrameBatch(batch.images, batch.valid, torch.ones(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"valid must be torch\.bool"):
        FrameBatch(batch.images, batch.valid.float(), batch.label)
    with pytest.raises(ValueError, match="C = 1 or 3"):
        FrameBatch(batch.images[:, :, 0], batch.valid, batch.label)


def test_frames_are_chosen_in_order_and_the_label_stays() -> None:
    pair = make_batch().frames([2, 0])
    assert pair.frame_count == 2 and pair.batch_size == 2
    assert pair.depth is not None and pair.depth[0, :, 0, 0].tolist() == [2.0, 0.0]
    assert pair.distortion is None


def test_joining_keeps_the_items_and_refuses_a_mixture() -> None:
    both = join([make_batch(1, pixel=1.0), make_batch(2, pixel=2.0)])
    assert both.images[:, 0, 0, 0, 0].tolist() == [1.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="lack depth"):
        join([make_batch(), make_batch(depth=False)])


def test_moving_keeps_everything() -> None:
    moved = make_batch().to("cpu")
    assert moved.depth is not None and moved.pose is not None and moved.distortion is None
