"""What a model is made of: one frozen record, checked when it is read.

A model is described by `type, input_shape, channels, kernel_size, use_skip, norm, activation,
dropout` and, for a fractal one, `columns, drop_path`; `padding` where the flow is not periodic.
Every fault is one `InputError` that names the field, the value seen and the choices.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from chimera.interface.errors import InputError

TYPES = ("unet", "fractal_unet")
NORMS = ("group", "batch", "instance", "none")
ACTIVATIONS = ("gelu", "silu", "relu")
COMMON_FIELDS = (
    "type",
    "input_shape",
    "channels",
    "kernel_size",
    "use_skip",
    "norm",
    "activation",
    "dropout",
)
FRACTAL_FIELDS = ("columns", "drop_path")
PADDINGS = ("circular", "replicate")


@dataclass(frozen=True)
class ModelSettings:
    """The settings of one model.

    Attributes:
        type: `unet` or `fractal_unet`.
        input_shape: (C, H, W) of one sample; the output has the same shape.
        channels: width of each level, the finest first; H and W halve from one to the next, after
            they were padded to a multiple of what that takes.
        kernel_size: odd width of the square kernels of every block.
        use_skip: whether each encoder block also feeds the decoder block of its level.
        norm: `group`, `batch`, `instance` or `none`, after every convolution of a block.
        activation: `gelu`, `silu` or `relu`, after every norm.
        dropout: probability that a channel of a block's output is zeroed in training.
        columns: columns of a fractal block, 1 or more (0 in a `unet`).
        drop_path: probability p of drop-path in training (0 in a `unet`).
        padding: how a field goes on beyond its edges along H and W: `circular` where the flow is
            periodic, `replicate` where it is not. Both circular unless given.

    """

    type: str
    input_shape: tuple[int, int, int]
    channels: tuple[int, ...]
    kernel_size: int
    use_skip: bool
    norm: str
    activation: str
    dropout: float
    columns: int = 0
    drop_path: float = 0.0
    padding: tuple[str, str] = ("circular", "circular")

    @property
    def grid(self) -> tuple[int, int]:
        """H and W as they are run: the next multiples of 2^(L-1)."""
        multiple = 1 << (len(self.channels) - 1)
        H, W = (-(-size // multiple) * multiple for size in self.input_shape[1:])
        return H, W

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "ModelSettings":
        """Check a mapping, as read from params.yaml, and freeze it.

        Args:
            settings: every field of the model's type and no other; sequences may be lists.

        Returns:
            The settings.

        Raises:
            InputError: a field is missing, unknown, or has a value that cannot be used.

        """
        if not isinstance(settings, Mapping):
            raise InputError(f"model settings are {settings!r}, expected a mapping of fields.")
        model_type = _choice("type", settings.get("type"), TYPES)
        fields = COMMON_FIELDS + (FRACTAL_FIELDS if model_type == "fractal_unet" else ())
        for name in settings:
            if name not in fields and name != "padding":
                raise InputError(
                    f"{name!r} = {settings[name]!r} is not a field of a {model_type}, "
                    f"expected {', '.join(fields)}."
                )
        for name in fields:
            if name not in settings:
                raise InputError(
                    f"{name!r} is missing from the settings of a {model_type}, "
                    f"expected {', '.join(fields)}."
                )
        read: dict[str, Callable[[str, Any], Any]] = {
            "type": lambda name, value: _choice(name, value, TYPES),
            "input_shape": _input_shape,
            "channels": _channels,
            "kernel_size": _odd,
            "use_skip": _boolean,
            "norm": lambda name, value: _choice(name, value, NORMS),
            "activation": lambda name, value: _choice(name, value, ACTIVATIONS),
            "dropout": _probability,
            "columns": _positive,
            "drop_path": _probability,
            "padding": _padding,
        }
        given = (*fields, "padding") if "padding" in settings else fields
        frozen = cls(**{name: read[name](name, settings[name]) for name in given})
        frozen._check_grid()
        return frozen

    def _check_grid(self) -> None:
        coarsest = min(self.grid) >> (len(self.channels) - 1)
        for size, padded in zip(self.input_shape[1:], self.grid, strict=True):
            if padded >= 2 * size:
                raise InputError(
                    f"'input_shape' = {list(self.input_shape)} has a side of {size}, expected more "
                    f"than {padded // 2} or fewer levels: {len(self.channels)} levels pad it to "
                    f"{padded}."
                )
        if self.kernel_size // 2 > coarsest:
            raise InputError(
                f"'kernel_size' = {self.kernel_size} reaches {self.kernel_size // 2} cells, "
                f"expected at most the {coarsest} of the coarsest grid."
            )
        if self.norm == "instance" and coarsest * coarsest == 1:
            raise InputError(
                "'norm' = 'instance' leaves nothing of the single cell of the coarsest grid, "
                "expected 'group', 'batch' or 'none', or fewer levels."
            )


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check a model before the data are there: a null in `input_shape` may become any large side.

    Raises:
        InputError: as `ModelSettings.of`.

    """
    shape = settings.get("input_shape") if isinstance(settings, Mapping) else None
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        settings = {**settings, "input_shape": [1 << 10 if s is None else s for s in shape]}
    ModelSettings.of(settings)


def as_the_data(
    settings: Mapping[str, Any], shape: Sequence[int], boundary: Sequence[str]
) -> dict[str, Any]:
    """Return a model's settings for data of one form.

    Args:
        settings: as in params.yaml; a null in `input_shape` stands for what the data have.
        shape: (C, H, W) of the data.
        boundary: `periodic` or not, along H and W: a `padding` that is not given follows from it.

    Returns:
        The settings, complete.

    Raises:
        InputError: the settings say another shape than the data have.

    """
    asked = settings.get("input_shape")
    if not isinstance(asked, Sequence) or isinstance(asked, str) or len(asked) != len(shape):
        raise InputError(f"'input_shape' is {asked!r}, expected [C, H, W].")
    filled = [have if want is None else want for want, have in zip(asked, shape, strict=True)]
    if filled != list(shape):
        raise InputError(
            f"'input_shape' is {list(asked)}, expected {list(shape)} as the data have; a null in "
            f"data.shape stands for what they have."
        )
    result = {**settings, "input_shape": filled}
    padding = ["circular" if kind == "periodic" else "replicate" for kind in boundary]
    if "replicate" in padding:
        result.setdefault("padding", padding)
    return result


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in choices:
        return value
    raise InputError(f"{name!r} is {value!r}, expected one of {', '.join(choices)}.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _positive(name: str, value: Any) -> int:
    if _is_integer(value) and value >= 1:
        return int(value)
    raise InputError(f"{name!r} is {value!r}, expected an integer of 1 or more.")


def _odd(name: str, value: Any) -> int:
    if _is_integer(value) and value >= 1 and value % 2:
        return int(value)
    raise InputError(f"{name!r} is {value!r}, expected an odd integer of 1 or more (1, 3, 5, ...).")


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise InputError(f"{name!r} is {value!r}, expected true or false.")


def _probability(name: str, value: Any) -> float:
    if isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < 1:
        return float(value)
    raise InputError(f"{name!r} is {value!r}, expected a probability of at least 0 and below 1.")


def _integers(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    if not all(_is_integer(item) and item >= 1 for item in value):
        return None
    return tuple(value)


def _input_shape(name: str, value: Any) -> tuple[int, int, int]:
    integers = _integers(value)
    if integers is None or len(integers) != 3:
        raise InputError(f"{name!r} is {value!r}, expected [C, H, W], three positive integers.")
    return integers[0], integers[1], integers[2]


def _padding(name: str, value: Any) -> tuple[str, str]:
    if isinstance(value, Sequence) and len(value) == 2 and all(v in PADDINGS for v in value):
        return value[0], value[1]
    raise InputError(f"{name!r} is {value!r}, expected two, each one of {', '.join(PADDINGS)}.")


def _channels(name: str, value: Any) -> tuple[int, ...]:
    integers = _integers(value)
    if integers is None or len(integers) < 2:
        raise InputError(
            f"{name!r} is {value!r}, expected a list of 2 or more positive widths, one per level."
        )
    return integers
