"""The learning rate over the steps s of a training, of S in all, after a warm-up of w S steps.

    one_cycle   lr / 25 to lr over the warm-up, then to lr / 2.5e5, each half a cosine
    cosine      lr (s + 1) / (w S) over the warm-up, then half a cosine to 0
    constant    lr

where half a cosine from a to b at the fraction f is b + (a - b) (1 + cos(pi f)) / 2. One cycle is
Smith and Topin 2018, arXiv:1708.07120, in the form of torch's OneCycleLR; the cosine is Loshchilov
and Hutter 2017, arXiv:1608.03983, without restarts.
"""

import math

from chimera.training.settings import TrainSettings


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Return the learning rate of a step in 0 .. steps - 1."""

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
