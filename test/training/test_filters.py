import cv2
import numpy as np
import torch

from training.filters import gaussian_blur, local_maxima


def test_blur_is_opencvs_inside_the_image() -> None:
    values = np.random.default_rng(0).random((32, 32), np.float32)
    expected = cv2.GaussianBlur(values, (7, 7), 1.0)
    blurred = gaussian_blur(torch.from_numpy(values)[None, None], 1.0)[0, 0].numpy()
    np.testing.assert_allclose(blurred[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-5)


def test_local_maxima_keep_one_point_within_the_radius() -> None:
    response = torch.zeros(1, 1, 9, 9)
    response[0, 0, 4, 4], response[0, 0, 4, 6], response[0, 0, 0, 8] = 3.0, 2.0, 1.0
    assert torch.nonzero(local_maxima(response, 2)[0, 0]).tolist() == [[0, 8], [4, 4]]
    assert torch.nonzero(local_maxima(response, 1)[0, 0]).tolist() == [[0, 8], [4, 4], [4, 6]]
