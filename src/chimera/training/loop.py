"""Training that can be killed at any moment and resumed to the same bytes.

Minimises the mean of ||x_{t+u} - x̂_{t+u}||^2 over u = 1 .. unroll, where x̂ is the network's own
rollout from x_t (chimera.models.forecasting.stepping), with AdamW (Loshchilov & Hutter 2019,
algorithm 2), the one-cycle schedule (Smith & Topin 2018) and clipping by the norm of the gradient
(Pascanu et al. 2013).

A step is a function of the state: batch and learning rate follow from the step's number, so that
only weights, moments, average and random generator are saved. Several processes may divide the
batches (chimera.training.distributed); they pass through the same states.

No step makes the host wait for a GPU: the learning rate is an argument of the optimiser's kernel,
clipping compares on the device, and the loss is read every log_every steps.

B batch, T time, C channel, H, W space.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chimera.data.batches.prefetch import Batches
from chimera.fields.nrmse import nrmse
from chimera.interface.errors import InputError
from chimera.models.forecasting import stepping
from chimera.models.forecasting.devices import require_compiler
from chimera.training.distributed import Group
from chimera.training.settings import TrainSettings

# A run has diverged when its loss exceeds that of persistence so many times; it starts near 1.
DIVERGED = 100.0
# One of so many consecutive validation frames is forecast: the others are similar (the default
# flow's autocorrelation falls below 0.2 after 8 frames) and would cost 2% of a training.
VALID_SPACING = 4


@dataclass(frozen=True)
class HistoryRow:
    """One row of the training history; the loss is the mean since the previous row."""

    step: int
    lr: float
    train_loss: float
    valid_nrmse: float


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Return the learning rate of a step in 0 .. steps - 1.

    one_cycle: half a cosine from lr / 25 to lr over the warm-up, then one from lr to lr / 2.5e5.
    cosine: linear from 0 over the warm-up, then half a cosine to 0. constant: lr throughout.
    """

    def half_cosine(start: float, end: float, fraction: float) -> float:
        return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2

    if settings.schedule == "constant":
        return settings.lr
    rise = settings.warmup * settings.steps
    fall = (step - rise) / max(settings.steps - 1 - rise, 1)
    if settings.schedule == "cosine":
        if step < rise:
            return settings.lr * min((step + 1) / rise, 1.0)
        return half_cosine(settings.lr, 0, fall)
    lowest = settings.lr / 25
    if step < rise:
        return half_cosine(lowest, settings.lr, step / rise)
    return half_cosine(settings.lr, lowest / 1e4, fall)


class Objective(nn.Module):
    """The loss of a network on windows: one graph, to compile and to divide among processes."""

    def __init__(self, network: nn.Module, unroll: int) -> None:
        super().__init__()
        self.network, self.unroll = network, unroll

    def forward(self, window: Tensor) -> Tensor:
        """Return the mean squared error over the unrolled frames of (B, 1 + unroll, C, H, W)."""
        frames, loss = window[:, 0], torch.zeros((), device=window.device)
        for u in range(1, 1 + self.unroll):
            frames = stepping.step(self.network, frames)
            loss = loss + (frames - window[:, u]).square().mean() / self.unroll
        return loss


class Training:
    """A run in progress: `advance` does a step, `state` and `restore` save and resume it.

    Args:
        network: Maps (B, C, H, W) to the increment of the same shape; trained in place.
        train: This process's part of the windows of 1 + unroll normalised frames, by step.
        valid: Normalised frames (n, T, C, H, W) of the validation split.
        settings: Section `train`.
        group: The processes that divide the batches; each has the same network.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Batches,
        valid: Tensor,
        settings: TrainSettings,
        group: Group = Group(),  # noqa: B008 - frozen
    ) -> None:
        self.network = network.train()
        self.train, self.valid, self.settings, self.group = train, valid, settings, group
        self.parameters = dict(network.named_parameters())
        self.device = next(network.parameters()).device
        for layer in network.modules():
            if hasattr(layer, "share"):  # draws the whole batch's mask and uses its part
                layer.share = group.rank, group.size  # type: ignore[assignment]
        # Drop-path leaves the same parameters out in every process: all draw the same numbers.
        drops = getattr(network, "leaves_out_parameters", False)
        objective = group.divided(Objective(network, settings.unroll), some_unused=drops)
        if settings.compile:
            require_compiler()
        self._objective = torch.compile(objective) if settings.compile else objective
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), settings.lr, weight_decay=settings.weight_decay, fused=True
        )
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.completed = 0
        self.history: list[HistoryRow] = []
        self._loss_sum = torch.zeros((), device=self.device)  # since the last row of the history
        self._persistence = float((valid[:, 1:] - valid[:, :-1]).square().mean())

    @property
    def finished(self) -> bool:
        """Whether every step is done."""
        return self.completed >= self.settings.steps

    @property
    def has_new_row(self) -> bool:
        """Whether the last step added a row to the history."""
        return bool(self.history) and self.history[-1].step == self.completed

    def advance(self) -> None:
        """Do one step; read the loss and the validation error when the settings say so.

        Raises:
            InputError: If the loss is not finite or far above that of persistence, or the
                validation error is not finite.
        """
        settings = self.settings
        rate = learning_rate(self.completed, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        window = self.train.batch(self.completed)  # (B / N, 1 + unroll, C, H, W)
        half = settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss = self._objective(window)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters.values(), settings.gradient_clip)
        self.optimizer.step()
        self._update_average()
        self._loss_sum += loss.detach()
        self.completed += 1
        if self.completed % settings.validate_every == 0 or self.finished:
            self._record(rate)
        elif self.completed % settings.log_every == 0:
            self.read_loss()

    def read_loss(self) -> float:
        """Return the mean loss since the last row of the history, or raise if it has diverged."""
        steps = self.completed - (self.history[-1].step if self.history else 0)
        loss = float(self.group.average(self._loss_sum)) / max(steps, 1)
        if not loss <= DIVERGED * self._persistence:
            expected = f"less than {DIVERGED:g} times persistence's {self._persistence:.3g}"
            raise self._diverged(f"the loss is {loss:.3g}", expected)
        return loss

    def _diverged(self, seen: str, expected: str) -> InputError:
        return InputError(
            f"training diverged: {seen} at step {self.completed}, expected {expected}; lower "
            f"train.lr (now {self.settings.lr:g}) or train.gradient_clip "
            f"(now {self.settings.gradient_clip:g})"
        )

    def note(self) -> str:
        """Return a summary of the last row of the history."""
        if not self.history:
            return ""
        row = self.history[-1]
        return f"loss {row.train_loss:.3g}, validation nRMSE {row.valid_nrmse:.3g}"

    def _record(self, rate: float) -> None:
        loss, error = self.read_loss(), self.valid_nrmse()
        # The loss belongs to the weights before the last step, the error to the current ones.
        if not math.isfinite(error):
            raise self._diverged(f"the validation nRMSE is {error}", "a finite number")
        self.history.append(HistoryRow(self.completed, rate, loss, error))
        self._loss_sum.zero_()

    def _update_average(self) -> None:
        # The averaging time grows from short to long, so that the initial weights are forgotten.
        decay = min(self.settings.ema_decay, (1 + self.completed) / (10 + self.completed))
        if self.settings.ema_decay > 0:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    self.average[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def valid_nrmse(self) -> float:
        """Return the current weights' one-step nRMSE of every `VALID_SPACING`-th frame, float32."""
        self.network.eval()
        own = slice(self.group.rank, None, self.group.size)
        batches = (
            frames.flatten(0, 1)[own].split(self.settings.batch_size)  # (n T / S N, C, H, W)
            for frames in (self.valid[:, :-1:VALID_SPACING], self.valid[:, 1::VALID_SPACING])
        )
        errors = [
            nrmse(stepping.step(self.network, x.to(self.device)), y.to(self.device)).reshape(-1)
            for x, y in zip(*batches, strict=True)
        ]
        self.network.train()  # here, since it visits all modules and costs as much as clipping
        return float(self.group.mean(torch.cat(errors)))

    def weights(self) -> dict[str, Tensor]:
        """Return the checkpoint's weights: averaged ones if there are any, and buffers."""
        averaged = self.average if self.settings.ema_decay > 0 else {}
        tensors = self.network.state_dict() | averaged
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that the next step depends on; every process calls it and gets the same."""
        self._loss_sum = self.group.average(self._loss_sum)
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        tensors["generator.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["generator.cuda"] = torch.cuda.get_rng_state(self.device)
        tensors["loss_sum"] = self._loss_sum
        rows = [vars(row) for row in self.history]
        return tensors, {"completed": self.completed, "history": rows}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.network.load_state_dict(part("network."))
        for name, value in part("average.").items():
            self.average[name].copy_(value)
        self.optimizer.state.clear()
        for name, parameter in self.parameters.items():
            if f"optimizer.step.{name}" not in tensors:
                continue  # no gradient yet: drop-path left it out of every step
            # Moments have the strides of their parameter, which a file does not keep.
            moments = {
                key: torch.empty_like(parameter).copy_(tensors[f"optimizer.{key}.{name}"])
                for key in ("exp_avg", "exp_avg_sq")
            }
            step = tensors[f"optimizer.step.{name}"].to(parameter.device)
            self.optimizer.state[parameter] = {"step": step, **moments}
        torch.set_rng_state(tensors["generator.cpu"].cpu())
        if "generator.cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["generator.cuda"].cpu(), self.device)
        self._loss_sum = tensors["loss_sum"].to(self.device).clone()
        self.completed = values["completed"]
        self.history = [HistoryRow(**row) for row in values["history"]]


def run(
    training: Training, save: Callable[[Training], None], report: Callable[[Training], None]
) -> None:
    """Advance to the end; report after each step, save every save_every steps and at the end."""
    while not training.finished:
        training.advance()
        report(training)
        if training.completed % training.settings.save_every == 0 or training.finished:
            save(training)
