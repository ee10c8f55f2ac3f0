"""What families of images have in common. Their networks and their training need torch, their settings do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from model_collapse.interfaces import Family

if TYPE_CHECKING:
    from model_collapse.families._network import Fitted


class Images(Family):
    """A family that reads uint8 images (n, side, side) and writes such images.

    side    pixels along an edge of what it reads; None: any
    passes  how often the loop's n is written, where every image is trained on once and not in several epochs
    """

    reads: ClassVar[Literal["images"]] = "images"
    checkpoints: ClassVar[bool] = True
    block_size: ClassVar[int] = 1
    rows: ClassVar[int] = 512
    metrics: ClassVar[tuple[str, ...]] = ("confidence", "class_entropy", "frechet", "sharpness")
    more_metrics: ClassVar[tuple[str, ...]] = ("classes", "manifold", "pixel_sd", "real_images", "leaks")
    evaluate: int

    @property
    def side(self) -> int | None:
        """Pixels along an edge."""
        return None

    def reading(self) -> dict[str, Any]:
        """How a corpus is to be read: the arguments of `Pictures.source` after n."""
        return {"side": self.side, "evaluate": self.evaluate, "passes": self.passes}

    def chain_bytes(self, rows: float) -> float:
        """Memory of a chain whose training sets have `rows` times n rows: read, written, and put together."""
        return 4 * rows * self.passes * (self.side or 28) ** 2


class Trained(Images):
    """A family of images whose model is a network that is trained by steps of Adam."""

    # Nothing else makes a chain large: with `passes` every epoch has images of its own.
    width: ClassVar[str] = "epochs"
    metrics: ClassVar[tuple[str, ...]] = ("training_loss", *Images.metrics)

    def device(self) -> str:
        """What computes: "cpu", or the GPU's name."""
        from model_collapse import hardware

        return hardware.name()

    def save(self, model: Fitted, folder: Path) -> None:
        """Write the model into an existing folder (weights as safetensors, the rest as JSON)."""
        from model_collapse.families import _network

        _network.save(model, folder)

    def load(self, folder: Path) -> Fitted:
        """The model that `save` wrote, bit for bit."""
        from model_collapse.families import _network

        return _network.load(folder)
