"""``python -m training``: make models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kp_ros.errors import UserError
from training.commands import clean, contrast, dataset, evaluate, quantise, train
from training.configuration import load_config, save_config

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, rich_markup_mode="rich")
dataset.register(app)
evaluate.register(app)
train.register(app)
contrast.register(app)
quantise.register(app)
clean.register(app)
CONFIGS = Path(__file__).parent / "configs"


@app.command()
def pretrain(
    output: Annotated[Path, typer.Option(help="Folder of the run; an unfinished run in it is resumed.")],
    config: Annotated[Path, typer.Option(help="YAML file.")] = CONFIGS / "pretrain.yaml",
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, over the file.")] = None,
) -> None:
    """Train the keypoint network on photographs, self-supervised; Ctrl-C saves, the same command goes on.

    Example: python -m training pretrain --output runs/base photographs='[my_photographs]' steps=5000
    """
    from training.pretrain import PretrainConfig
    from training.pretrain import pretrain as run

    resolved = load_config(PretrainConfig, config, overrides or [])
    output.mkdir(parents=True, exist_ok=True)
    save_config(resolved, output / "config.yaml")
    step = run(resolved, output)
    Console().print(f"{output}: step {step} of {resolved.steps}")


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A run's last.pt.")],
    output: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    data: Annotated[str, typer.Option(help="What it was trained on, with licences; goes into the metadata.")],
    images: Annotated[Path, typer.Option(help="Folder of real images; the export is compared with torch on them.")],
    licence: Annotated[str, typer.Option(help="Of the model.")] = "Apache-2.0",
    max_keypoints: Annotated[int, typer.Option(help="Keypoint budget; the runtime can change it.")] = 1024,
) -> None:
    """Export the network of a run to ONNX, and check that it does what torch does.

    Example: python -m training export runs/base/last.pt kp_mine.onnx --data "my bags" --images my_photographs
    """
    from training.data.guard import accompany
    from training.data.photographs import list_photographs
    from training.export import export as run
    from training.networks.graphs import ExportableNetwork
    from training.runs import load_network, method_of_run

    metadata = {"name": output.stem, "method": method_of_run(checkpoint), "data": data, "licence": licence}
    metadata |= accompany(output, checkpoint.parent)
    paths = list_photographs([images])
    network = load_network(checkpoint)
    if not isinstance(network, ExportableNetwork):
        raise UserError(
            f"{checkpoint}: a {type(network).__name__} has no descriptors, which the robot's detector needs; distil it "
            "into one that has: python -m training train distillation"
        )
    agreement = run(network, output, metadata, paths[:: max(1, len(paths) // 8)], max_keypoints)
    Console().print(
        f"{output}: {output.stat().st_size / 1e6:.1f} MB; on {agreement.images} images {agreement.shared:.1%} of the "
        f"keypoints are torch's, descriptors agree to a cosine of {agreement.descriptor_cosine:.5f}"
    )


@app.command(name="fetch-photos")
def fetch(
    output: Annotated[Path, typer.Argument(help="Folder that receives the photographs and their licences.")],
) -> None:
    """Collect free photographs from Debian's wallpaper packages (about 200 MB of downloads, no installation)."""
    from training.fetch_photos import fetch_photos

    Console().print(f"{fetch_photos(output)} photographs in {output}")


def main() -> None:
    """Run the command line; an expected error is one line and exit code 1."""
    try:
        app(standalone_mode=True)
    except (UserError, FileNotFoundError, ValueError) as error:
        Console(stderr=True).print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
