"""What a model is made of: one frozen record, checked when it is read.

A model is described by `type, input_shape, channels, kernel_size, use_skip, norm, activation,
dropout` and, for a fractal one, `columns, drop_path`. Every fault is one `InputError` that names
the field, the value seen and the choices.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from chimera.errors import InputError

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


@dataclass(frozen=True)
class ModelSettings:
    """The settings of one model.

    Attributes:
        type: `unet` or `fractal_unet`.
        input_shape: (C, H, W) of one sample; the output has the same shape.
        channels: width of each level, the finest first; H and W halve from one to the next.
        kernel_size: odd width of the square kernels of every block.
        use_skip: whether each encoder block also feeds the decoder block of its level.
        norm: `group`, `batch`, `instance` or `none`, after every convolution of a block.
        activation: `gelu`, `silu` or `relu`, after every norm.
        dropout: probability that a channel of a block's output is zeroed in training.
        columns: columns of a fractal block, 1 or more (0 in a `unet`).
        drop_path: probability p of drop-path in training (0 in a `unet`).

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
            if name not in fields:
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
        }
        frozen = cls(**{name: read[name](name, settings[name]) for name in fields})
        frozen._check_grid()
        return frozen

    def _check_grid(self) -> None:
        halvings = len(self.channels) - 1
        coarsest = min(self.input_shape[1:]) >> halvings
        for size in self.input_shape[1:]:
            if size % (1 << halvings):
                raise InputError(
                    f"'input_shape' = {list(self.input_shape)} has a side of {size}, expected a "
                    f"multiple of {1 << halvings}: {len(self.channels)} levels halve it "
                    f"{halvings} times."
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


def _channels(name: str, value: Any) -> tuple[int, ...]:
    integers = _integers(value)
    if integers is None or len(integers) < 2:
        raise InputError(
            f"{name!r} is {value!r}, expected a list of 2 or more positive widths, one per level."
        )
    return integers
