"""Free photographs from Debian's wallpaper packages, for whoever has none of their own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kp_ros.errors import UserError
from training.data.photographs import EXTENSIONS

PACKAGES = (
    "gnome-backgrounds",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "mate-backgrounds",
    "plasma-workspace-wallpapers",
    "ukui-wallpapers",
)


class FetchError(UserError):
    """Packages that could not be had; the message says why and what else to do."""


def download(packages: tuple[str, ...], folder: Path) -> list[Path]:
    """The packages' files, fetched by apt without installing them.

    :raises FetchError: no apt here, or no network.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise FetchError("this needs Debian's apt-get and dpkg-deb; elsewhere, give training any folder of photographs")
    for package in tqdm(packages, desc="download", unit="package"):
        run = subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, text=True)
        if run.returncode != 0:
            reason = run.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise FetchError(f"apt-get download {package}: {reason[0]}; try 'apt-get update' first")
    return sorted(folder.glob("*.deb"))


def has_texture(image: NDArray[np.uint8], corners: int = 150) -> bool:
    """Whether a picture holds enough corners to learn from: drawings and gradients do not."""
    found = cv2.goodFeaturesToTrack(image, corners, 0.02, 8)
    return found is not None and len(found) >= corners and float(image.std()) > 20


def fetch_photos(output: Path, longest_side: int = 1000, packages: tuple[str, ...] = PACKAGES) -> int:
    """Download, pick the photographs with texture, scale them, save them as JPEG beside each package's licence.

    :returns: how many were kept.
    """
    output.mkdir(parents=True, exist_ok=True)
    kept = 0
    with tempfile.TemporaryDirectory() as temporary:
        for package in tqdm(download(packages, Path(temporary)), desc="unpack", unit="package"):
            tree = Path(temporary) / package.stem
            subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True)
            name = package.name.split("_")[0]
            for licence in tree.glob("usr/share/doc/*/copyright"):
                shutil.copy(licence, output / f"{name}.copyright")
            seen: set[bytes] = set()
            for path in sorted(tree.rglob("*")):
                if path.suffix.lower() not in EXTENSIONS or path.is_symlink():
                    continue
                image = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if image is None or max(image.shape) < 800:
                    continue
                factor = min(1.0, longest_side / max(image.shape))
                image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
                grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
                # A package holds the same picture in several sizes: a thumbnail tells them apart.
                thumbnail = (cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA) // 16).tobytes()
                if thumbnail in seen or not has_texture(grey):
                    continue
                seen.add(thumbnail)
                cv2.imwrite(str(output / f"{name}_{len(seen):03d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
                kept += 1
    return kept
