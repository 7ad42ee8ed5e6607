"""Labels pairs of a recording's frames by time and by matching."""

from __future__ import annotations

import numpy as np

from training.data.bags.matching import Matcher
from training.data.sequence import LabelledPair

#: Matches that one epipolar geometry explains, from which on two frames show the same scene. Between images of two
#: places (five of shared/data's recordings, 512 keypoints) chance gives 12 to 22.
SAME_SCENE = 40
#: And up to which they show another one, if they are far apart in time besides.
OTHER_SCENE = 24
#: Share of the recording between two frames of a negative pair.
FAR_APART = 0.25
#: Frames that pairs begin at; of a longer recording, evenly spread ones.
ANCHORS = 300
NEGATIVES_PER_ANCHOR = 1


def label_pairs(matcher: Matcher, names: tuple[str, ...], seed: int = 0) -> list[LabelledPair]:
    """Pairs of frames, both kinds.

    From each frame, pairs 1, 2, 4, 8, ... frames apart are positive as long as their matches agree: the farther apart,
    the more a pair teaches. Frames that are far apart in time and do not match are negative; a short recording has
    none, and its negatives come from other recordings.
    """
    count = len(names)
    anchors = np.unique(np.linspace(0, count - 1, min(count, ANCHORS)).round().astype(int)).tolist()
    pairs = []
    for anchor in anchors:
        gap = 1
        while anchor + gap < count:
            inliers = len(matcher.matches(anchor, anchor + gap)[0])
            if inliers < SAME_SCENE:
                break
            pairs.append(LabelledPair(names[anchor], names[anchor + gap], 1, inliers))
            gap *= 2
    generator = np.random.default_rng(seed)
    far = max(2, round(FAR_APART * count))
    for anchor in anchors:
        others = [other for other in anchors if abs(other - anchor) >= far]
        for other in generator.permutation(others)[:NEGATIVES_PER_ANCHOR].tolist():
            inliers = len(matcher.matches(anchor, other)[0])
            if inliers <= OTHER_SCENE:
                pairs.append(LabelledPair(names[anchor], names[other], -1, inliers))
    return pairs
