import pytest

from training.schedules import Schedule, Shape


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        (Shape.CONSTANT, [2.0, 2.0, 2.0, 2.0, 2.0]),
        (Shape.LINEAR, [2.0, 3.0, 4.0, 5.0, 6.0]),
        (Shape.COSINE, [2.0, 2.5857864, 4.0, 5.4142136, 6.0]),
        (Shape.THIRDS, [2.0, 2.0, 4.0, 6.0, 6.0]),
    ],
)
def test_shapes_go_from_start_to_end(shape: Shape, values: list[float]) -> None:
    schedule = Schedule(shape, 2.0, 6.0)
    assert [schedule.at(k / 4) for k in range(5)] == pytest.approx(values)


def test_a_ramp_rests_before_and_after() -> None:
    # RIPE's cost per keypoint: from 0 over the first third of the training.
    ramp = Schedule(Shape.LINEAR, 0.0, -7e-8, finish=1 / 3)
    assert [ramp.at(p) for p in (0, 1 / 6, 1 / 3, 1)] == pytest.approx([0, -3.5e-8, -7e-8, -7e-8])
    late = Schedule(Shape.LINEAR, 1.0, 0.0, begin=0.5, finish=0.5)
    assert [late.at(p) for p in (0.49, 0.5)] == [1.0, 0.0]


def test_thirds_change_at_the_thirds() -> None:
    thirds = Schedule(Shape.THIRDS, 1.0, 3.0)
    assert [thirds.at(p) for p in (0.333, 1 / 3, 0.666, 2 / 3, 1)] == [1.0, 2.0, 2.0, 3.0, 3.0]
