"""Reading and replacing a network's activations at its sites.

A forward hook on a site (chimera.models.forecasting.sites), whose output is z, either copies z or
returns another tensor instead (activation patching: Vig et al. 2020,
"Investigating gender bias in language models using causal mediation analysis"; Meng et al. 2022,
arXiv:2202.05262, section 2.1). The functions below leave the network unchanged.

B batch, C channel, H, W space.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from chimera.interface.errors import InputError
from chimera.models.forecasting.sites import site_names
from chimera.models.forecasting.stepping import evaluation_mode


@torch.no_grad()
def capture(model: nn.Module, sites: Iterable[str], inputs: Tensor) -> dict[str, Tensor]:
    """Run the network once, in evaluation mode, and copy the activation of each site.

    Inputs are (B, C, H, W), activations (B, C', H', W') in a convolutional network. A site that
    does not exist or an activation that is not finite is an InputError.
    """
    captured: dict[str, Tensor] = {}

    def copy(name: str, activation: Tensor) -> None:
        captured[name] = activation.clone()  # later layers may work in place

    with _hooked(model, sites, copy):
        model(inputs)
    for name, activation in captured.items():
        if bad := int((~torch.isfinite(activation)).sum()):
            raise InputError(
                f"activations at site {name!r} hold {bad} values that are NaN or infinite, "
                "expected finite ones: check the network's weights and inputs"
            )
    return captured


@contextmanager
def patched(model: nn.Module, replacements: Mapping[str, Tensor]) -> Iterator[None]:
    """Replace the activations of sites within the context, in evaluation mode.

    It is an InputError if a site does not exist or, when the network runs, if a replacement has
    another shape than the activation.
    """

    def replace(name: str, activation: Tensor) -> Tensor:
        replacement = replacements[name]
        if replacement.shape != activation.shape:
            raise InputError(
                f"the replacement at site {name!r} has shape {tuple(replacement.shape)}, "
                f"expected that of the activation, {tuple(activation.shape)}"
            )
        return replacement.clone()  # later layers may work in place

    with _hooked(model, replacements, replace):
        yield


@contextmanager
def _hooked(
    model: nn.Module, sites: Iterable[str], hook: Callable[[str, Tensor], Tensor | None]
) -> Iterator[None]:
    """Call the hook with the name and the activation of each site, in evaluation mode."""
    valid, modules = site_names(model), dict(model.named_modules())
    with evaluation_mode(model), ExitStack() as stack:
        for name in sites:
            site = modules.get(name)
            # An identity passes on one activation, in any network: it may be asked for by name.
            if site is None or not (name in valid or isinstance(site, nn.Identity)):
                raise InputError(f"{name!r} is not a site, expected one of {', '.join(valid)}")
            handle = site.register_forward_hook(lambda _site, _in, out, name=name: hook(name, out))
            stack.enter_context(handle)
        yield
