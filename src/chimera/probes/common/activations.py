"""Activations of a network, read and replaced at its named sites.

A site is an identity module, z -> z, found by its path in `named_modules()`. A forward hook on it
either copies z or puts another tensor in its place (activation patching: Vig et al. 2020,
"Investigating gender bias in language models using causal mediation analysis"; Meng et al. 2022,
arXiv:2202.05262, section 2.1). Outside of the calls below the network is as it was.

B batch, C channel, H, W space.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from chimera.interface.errors import InputError


def site_names(model: nn.Module) -> tuple[str, ...]:
    """Return the paths of all sites, in the order of `named_modules()`.

    >>> site_names(nn.Sequential(nn.Identity(), nn.ReLU(), nn.Identity()))
    ('0', '2')
    """
    return tuple(name for name, part in model.named_modules() if isinstance(part, nn.Identity))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, and back into its own on exit.

    >>> network = nn.Sequential(nn.Dropout(0.5))
    >>> with evaluation_mode(network):
    ...     network.training
    False
    >>> network.training
    True
    """
    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in training:
            module.training = mode


@torch.no_grad()
def capture(model: nn.Module, sites: Iterable[str], inputs: Tensor) -> dict[str, Tensor]:
    """Run the network once, in evaluation mode, and copy what passes each site.

    Args:
        model: Any network whose sites are identity modules.
        sites: Names of sites.
        inputs: What the network takes, (B, C, H, W).

    Returns:
        For each site its activations, (B, C', H', W') in a convolutional network; nothing that the
        network does later changes them.

    Raises:
        InputError: If a site does not exist or an activation is not finite.

    Example:
        >>> network = nn.Sequential(nn.ReLU(), nn.Identity(), nn.Flatten())
        >>> capture(network, ["1"], torch.tensor([[-1.0, 2.0]]))
        {'1': tensor([[0., 2.]])}
    """
    captured: dict[str, Tensor] = {}

    def reader(name: str):  # type: ignore[no-untyped-def]
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            captured[name] = output.clone()

        return hook

    modules = _site_modules(model, sites)
    with evaluation_mode(model), ExitStack() as hooks:
        for name, module in modules.items():
            hooks.enter_context(module.register_forward_hook(reader(name)))
        model(inputs)
    for name, activation in captured.items():
        if not torch.isfinite(activation).all():
            bad = int((~torch.isfinite(activation)).sum())
            raise InputError(
                f"activations at site {name!r} hold {bad} values that are NaN or infinite, "
                "expected finite ones: check the network's weights and inputs"
            )
    return captured


@contextmanager
def patched(model: nn.Module, replacements: Mapping[str, Tensor]) -> Iterator[None]:
    """Replace what passes the sites, as long as the context lasts, in evaluation mode.

    Args:
        model: Any network whose sites are identity modules.
        replacements: For each site the tensor that takes its activation's place.

    Raises:
        InputError: If a site does not exist or, when the network runs, a replacement has another
            shape than the activation.

    Example:
        >>> network = nn.Sequential(nn.ReLU(), nn.Identity(), nn.Flatten())
        >>> with patched(network, {"1": torch.tensor([[7.0, 7.0]])}):
        ...     network(torch.tensor([[-1.0, 2.0]]))
        tensor([[7., 7.]])
        >>> network(torch.tensor([[-1.0, 2.0]]))
        tensor([[0., 2.]])
    """

    def writer(name: str, replacement: Tensor):  # type: ignore[no-untyped-def]
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if replacement.shape != output.shape:
                raise InputError(
                    f"the replacement at site {name!r} has shape {tuple(replacement.shape)}, "
                    f"expected that of the activation, {tuple(output.shape)}"
                )
            return replacement.clone()  # what follows may work in place

        return hook

    modules = _site_modules(model, replacements)
    with evaluation_mode(model), ExitStack() as hooks:
        for name, module in modules.items():
            hook = writer(name, replacements[name])
            hooks.enter_context(module.register_forward_hook(hook))
        yield


def _site_modules(model: nn.Module, sites: Iterable[str]) -> dict[str, nn.Module]:
    names = list(sites)
    valid = site_names(model)
    for name in names:
        if name not in valid:
            raise InputError(f"{name!r} is not a site, expected one of {', '.join(valid)}")
    return {name: model.get_submodule(name) for name in names}
