"""Training that gives the same bytes when it is interrupted and resumed.

Minimises the mean of a loss of x̂_{t+u}, ||x_{t+u} - x̂_{t+u}||^2 by default, over u = 1 .. unroll,
where x̂ is the network's own rollout from x_t (chimera.models.forecasting.stepping) or, with
input_noise, from x_t + noise (Sanchez-Gonzalez et al. 2020, arXiv:2002.09405, section 3.3). With
pushforward it is the loss of the last frame alone, differentiated through the last step alone
(Brandstetter, Worrall & Welling 2022, arXiv:2202.03376, section 3.1). It uses AdamW (Loshchilov &
Hutter 2019, algorithm 2), a rate of chimera.training.schedules and clipping by the norm of the
gradient (Pascanu et al. 2013).

The batch and the learning rate follow from the number of the step, so the state consists of
weights, moments, average and random generator. No step makes the host wait for a GPU: the loss is
read every log_every steps.

B batch, T time, C fields, K conditioning channels, P past frames, H, W space.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chimera.data.batches.prefetch import Batches
from chimera.fields.nrmse import nrmse
from chimera.interface.errors import InputError
from chimera.models.forecasting import stepping
from chimera.models.forecasting.devices import require_compiler
from chimera.models.forecasting.optimizers import AdamW
from chimera.training.distributed import Group
from chimera.training.schedules import learning_rate
from chimera.training.settings import TrainSettings

# A run has diverged when its loss exceeds this multiple of persistence's, near which it starts.
MAX_LOSS_RATIO = 100.0
# Spacing of the validation frames that are forecast. Neighbouring frames are redundant (the default
# flow's autocorrelation falls below 0.2 after ten or so), and all of them would cost 2% of a run.
VALID_SPACING = 4


class DivergedError(InputError):
    """A training whose loss or error grew beyond any use."""


@dataclass(frozen=True)
class HistoryRow:
    """One row of the training history; the loss is the mean since the previous row."""

    step: int
    lr: float
    train_loss: float
    valid_nrmse: float


def mismatch(prediction: Tensor, target: Tensor, loss: str) -> Tensor:
    """Return the loss of fields (B, C, H, W); relative_l2 is the mean of ||error|| / ||target||."""
    error = prediction - target
    if loss == "relative_l2":
        return (error.flatten(1).norm(dim=1) / target.flatten(1).norm(dim=1)).mean()
    return (error.square() if loss == "mse" else error.abs()).mean()


class Objective(nn.Module):
    """The loss of a network as one module, to be compiled and parallelised.

    Processes that divide a batch draw the noise of the whole batch, and use their part of it.
    """

    share: tuple[int, int] = (0, 1)  # rank and number of the processes

    def __init__(
        self,
        network: nn.Module,
        unroll: int,
        num_fields: int | None = None,
        past_frames: int = 1,
        loss: str = "mse",
        input_noise: float = 0.0,
        pushforward: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.unroll, self.loss, self.noise = network, unroll, loss, input_noise
        self.num_fields, self.past_frames, self.pushforward = num_fields, past_frames, pushforward

    def forward(self, window: Tensor) -> Tensor:
        """Return the loss of the fields of (B, P + unroll, C + K, H, W)."""
        P, C = self.past_frames, self.num_fields or window.shape[2]
        state, (rank, size) = stepping.states(window[:, :P], P, C)[:, 0], self.share
        if self.noise:
            own = state[:, : P * C]
            noise = own.new_empty((size, *own.shape)).normal_(std=self.noise)[rank]
            state = torch.cat([own + noise, state[:, P * C :]], dim=1)
        loss, targets = torch.zeros((), device=window.device), window[:, P:].unbind(1)
        fixed = len(targets) - 1 if self.pushforward else 0
        with torch.no_grad():
            for _ in targets[:fixed]:
                state = stepping.step(self.network, state, P)
        for target in targets[fixed:]:
            state = stepping.step(self.network, state, P)
            error = mismatch(state[:, :C], target[:, :C], self.loss)
            loss = loss + error / (self.unroll - fixed)
        return loss


class Training:
    """A run in progress, of this process alone or as one of a group that shares the batches.

    The network maps (B, P C + K, H, W) to the increment (B, C, H, W) and is trained in place, on
    windows of P + unroll normalised frames; `valid` are normalised frames (n, T, C + K, H, W). C is
    `num_fields`, all channels by default, and P is `past_frames`.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Batches,
        valid: Tensor,
        settings: TrainSettings,
        group: Group = Group(),  # noqa: B008 - frozen
        num_fields: int | None = None,
        past_frames: int = 1,
    ) -> None:
        self.network = network.train()
        self.train, self.valid, self.settings, self.group = train, valid, settings, group
        self.num_fields, self.past_frames = num_fields, past_frames
        self.parameters = dict(network.named_parameters())
        self.device = next(network.parameters()).device
        options = settings.loss, settings.input_noise, settings.pushforward
        alone = Objective(network, settings.unroll, num_fields, past_frames, *options)
        for layer in alone.modules():
            if hasattr(layer, "share"):  # draws for the whole batch and takes its part
                layer.share = group.rank, group.size  # type: ignore[assignment]
        drops = getattr(network, "leaves_out_parameters", False)
        objective = group.parallelize(alone, some_unused=drops)
        if settings.compile:
            require_compiler()
        self._objective = torch.compile(objective) if settings.compile else objective
        # torch has no fused kernel of complex numbers.
        fused = not any(p.is_complex() for p in self.parameters.values())
        self.optimizer = AdamW(
            self.parameters.values(), settings.lr, weight_decay=settings.weight_decay, fused=fused
        )
        # The weights and, with batch norm, the running statistics that belong to them.
        self.average = {
            name: tensor.detach().clone()
            for name, tensor in network.state_dict().items()
            if tensor.is_floating_point() or tensor.is_complex()
        }
        self.best: dict[str, Tensor] = {}  # the checkpoint at the least validation error, if kept
        self.completed = 0
        self.history: list[HistoryRow] = []
        self._loss_sum = torch.zeros((), device=self.device)  # since the last row of the history
        fields = valid[:, :, :num_fields]
        self._persistence = float(mismatch(fields[:, :-1], fields[:, 1:], settings.loss))

    @property
    def finished(self) -> bool:
        """Whether all steps are completed."""
        return self.completed >= self.settings.steps

    def advance(self) -> None:
        """Take one step; every validate_every steps, add a row; DivergedError beyond any use."""
        settings = self.settings
        rate = learning_rate(self.completed, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        window = self.train.batch(self.completed)  # (B / N, P + unroll, C + K, H, W)
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
        """Return the mean loss since the last row; DivergedError if it is beyond any use."""
        count = self.completed - (self.history[-1].step if self.history else 0)
        loss = float(self.group.mean(self._loss_sum)) / max(count, 1)
        if not loss <= MAX_LOSS_RATIO * self._persistence:
            expected = f"less than {MAX_LOSS_RATIO:g} times persistence's {self._persistence:.3g}"
            raise self._diverged(f"the loss is {loss:.3g}", expected)
        return loss

    def _diverged(self, seen: str, expected: str) -> DivergedError:
        return DivergedError(
            f"training diverged: {seen} at step {self.completed}, expected {expected}; lower "
            f"train.lr (now {self.settings.lr:g}) or train.gradient_clip "
            f"(now {self.settings.gradient_clip:g})"
        )

    def _record(self, rate: float) -> None:
        loss, error = self.read_loss(), self.valid_nrmse()
        # The loss belongs to the weights before the last step, the error to the weights after it.
        if not math.isfinite(error):
            raise self._diverged(f"the validation nRMSE is {error}", "a finite number")
        if self.settings.keep == "best" and all(error < row.valid_nrmse for row in self.history):
            self.best = self._current()
        self.history.append(HistoryRow(self.completed, rate, loss, error))
        self._loss_sum.zero_()

    def _update_average(self) -> None:
        # The averaging time grows from a few steps, so that the initial weights are forgotten.
        decay = min(self.settings.ema_decay, (1 + self.completed) / (10 + self.completed))
        if self.settings.ema_decay > 0:
            with torch.no_grad():
                state = self.network.state_dict()
                for name, average in self.average.items():
                    average.lerp_(state[name], 1 - decay)

    @torch.no_grad()
    def valid_nrmse(self) -> float:
        """Return the one-step nRMSE of the current weights in float32, see `VALID_SPACING`."""
        self.network.eval()
        own, P = slice(self.group.rank, None, self.group.size), self.past_frames
        C = self.num_fields or self.valid.shape[2]
        given = stepping.states(self.valid[:, :-1], P, C, VALID_SPACING)
        inputs = given.flatten(0, 1)[own]  # (n T / S N, P C + K, H, W)
        targets = self.valid[:, P::VALID_SPACING, :C].flatten(0, 1)[own]
        size = self.settings.batch_size
        errors = [
            nrmse(stepping.step(self.network, x.to(self.device))[:, :C], y.to(self.device)).ravel()
            for x, y in zip(inputs.split(size), targets.split(size), strict=True)
        ]
        self.network.train()  # not in every step, where it would cost as much as clipping
        return float(self.group.mean(torch.cat(errors)))

    def weights(self) -> dict[str, Tensor]:
        """Return the content of the checkpoint: the best weights if they are kept, or the last."""
        return self.best or self._current()

    def _current(self) -> dict[str, Tensor]:
        """Return the weights, averaged ones if ema_decay is above 0."""
        state = self.network.state_dict()
        if self.settings.ema_decay > 0:
            state |= self.average
        return {name: tensor.detach().clone() for name, tensor in state.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything that the next step depends on, as tensors and plain values.

        It must be called in every process and returns the same in all of them.
        """
        self._loss_sum = self.group.mean(self._loss_sum)
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
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
        """Return to a state that `state` returned."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.network.load_state_dict(part("network."))
        for name, value in part("average.").items():
            self.average[name].copy_(value)
        self.best = {name: value.to(self.device) for name, value in part("best.").items()}
        self.optimizer.state.clear()
        for name, parameter in self.parameters.items():
            if f"optimizer.step.{name}" not in tensors:
                continue  # no gradient so far, because drop-path has left it out of every step
            # Moments have the strides of their parameter, which the file does not store.
            self.optimizer.state[parameter] = {
                key: torch.empty_like(parameter).copy_(tensors[f"optimizer.{key}.{name}"])
                for key in ("exp_avg", "exp_avg_sq")
            } | {"step": tensors[f"optimizer.step.{name}"].to(parameter.device)}
        torch.set_rng_state(tensors["generator.cpu"].cpu())
        if "generator.cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["generator.cuda"].cpu(), self.device)
        self._loss_sum = tensors["loss_sum"].to(self.device).clone()
        self.completed = values["completed"]
        self.history = [HistoryRow(**row) for row in values["history"]]
