from __future__ import annotations

from dataclasses import fields

import pytest

from kp_ros.ros.parameters import Change, Settings, descriptor_of, refusal

SETTINGS = {one.name: one for one in fields(Settings)}


def test_ranges_and_choices_reach_the_descriptor() -> None:
    threshold = descriptor_of(SETTINGS["score_threshold"]).floating_point_range[0]
    assert (threshold.from_value, threshold.to_value) == (0.0, 1.0)
    tracks = descriptor_of(SETTINGS["max_tracks"]).integer_range[0]
    assert (tracks.from_value, tracks.to_value) == (1, 16384)
    assert "One of: raw, compressed." in descriptor_of(SETTINGS["image_transport"]).additional_constraints


@pytest.mark.parametrize("name", SETTINGS)
def test_defaults_are_allowed_and_within_their_limits(name: str) -> None:
    setting = SETTINGS[name]
    assert refusal({name: setting.default}, Settings(), configured=True) == ""
    limits = setting.metadata["limits"]
    assert limits is None or limits[0] <= setting.default <= limits[1]


def test_only_parameters_of_the_start_are_read_only() -> None:
    for setting in SETTINGS.values():
        assert descriptor_of(setting).read_only == (setting.metadata["change"] is Change.START)


def test_a_value_that_is_no_choice_is_refused() -> None:
    assert refusal({"backend": "abacus"}, Settings(), configured=False).startswith("backend is 'abacus'; choose one of")


def test_a_configured_node_keeps_its_model() -> None:
    assert "clean it up first" in refusal({"model": "orb"}, Settings(), configured=True)
    assert refusal({"model": "orb"}, Settings(), configured=False) == ""
    assert refusal({"model": "orb"}, Settings(model="orb"), configured=True) == ""


def test_parameters_of_others_are_passed_over() -> None:
    assert refusal({"use_sim_time": True}, Settings(), configured=True) == ""
