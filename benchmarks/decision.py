"""How often the study's decision is wrong, how long it takes, and which prior makes it shortest.

A simulated study has differences effect + sd z_r of up to 40 replicates, z of mean 0, variance 1
and one of several distributions; chimera.study.decision decides it. Two tables:

    decision.csv  error rates at the declared prior. Of no effect, a decision for better or worse is
                  wrong; of an effect at the margin, equivalence, or the other sign. `wrong` counts
                  the first decision. `wrong_at_any_look` counts a study where any look from 8 to 40
                  is wrong, by either sequence, whatever was decided before: what somebody gets who
                  stops when it suits. `wrong_by_t_tests` is the same with the t tests of fixed n.
    prior.csv     expected replicates of normal differences with true effects of 0, 5% and 10%, and
                  the highest `wrong_at_any_look` up to skewness 1, for each variance of the prior.

Skewed errors are skewed to the right, which makes effects at the two ends of the margin differ. A/A
takes two runs of one model, whose errors have skewness 2, as a pair.

    python benchmarks/decision.py [--studies 10000] [--sd 0.08] [--output benchmarks]
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from chimera import statistics
from chimera.files.artifacts import write_csv
from chimera.statistics.e_values import PRIOR_VARIANCE
from chimera.study.decision import UNDECIDED, StoppingRule, decide, decide_studies, look
from chimera.study.decision import running_moments as moments

Floats = NDArray[np.float64]
Errors = Callable[[np.random.Generator, tuple[int, int]], Floats]

MARGIN = math.log(1.1)
ALPHA = 0.05
SPREADS = (0.04, 0.08, 0.16)  # the pilot's, half and twice it
TRUTHS = {"no effect": 0.0, "upper margin": MARGIN, "lower margin": -MARGIN}
EFFECTS = {"none": 0.0, "5%": math.log(1.05), "10%": math.log(1.1)}
PRIORS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)
CHECKED = 20  # studies of each kind that are decided one by one too


def skewed(skewness: float) -> Errors:
    """Gamma variables of mean 0, variance 1 and this skewness."""
    shape = 4 / skewness**2
    return lambda rng, size: (rng.gamma(shape, size=size) - shape) / math.sqrt(shape)


def paired_runs(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Differences of two runs of one model."""
    return (skewed(2)(rng, size) - skewed(2)(rng, size)) / math.sqrt(2)


PROMISED: dict[str, Errors] = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "skewness 0.5": skewed(0.5),
    "skewness 1": skewed(1),
}
ERRORS: dict[str, Errors] = PROMISED | {
    "skewness 2": skewed(2),
    "heavy tails (t, 5 df)": lambda rng, size: rng.standard_t(5, size) / math.sqrt(5 / 3),
    "A/A": paired_runs,
}


@dataclass(frozen=True)
class Rate:
    """One line of decision.csv: shares of the studies."""

    errors: str
    truth: str
    sd: float
    better: float
    worse: float
    equivalent: float
    undecided: float
    replicates: float
    wrong: float
    wrong_at_any_look: float
    wrong_by_t_tests: float
    studies: int
    monte_carlo_se: float  # of a share of 5%


@dataclass(frozen=True)
class Prior:
    """One line of prior.csv."""

    prior_variance: float
    replicates_none: float
    replicates_5: float
    replicates_10: float
    replicates_mean: float
    undecided: float  # the highest share over the effects
    wrong_at_any_look: float  # the highest share over PROMISED, effects and ends of the margin
    studies: int


def standard_error(studies: int) -> float:
    """Return the standard error of a share of 5%."""
    return math.sqrt(ALPHA * (1 - ALPHA) / studies)


def wrong_looks(equivalent: NDArray[np.bool_], sign: NDArray[np.int8], truth: float) -> Floats:
    """Return whether any look of a study is wrong (S,), from what each look says (S, L)."""
    wrong = sign * np.sign(truth) < 0 if truth else sign != 0
    return np.asarray((wrong | equivalent if truth else wrong).any(axis=1))


def t_tests(d: Floats, rule: StoppingRule) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """Return the looks' verdicts (S, L) by the tests of fixed n, as of `look`."""
    n = np.arange(rule.first_look, rule.last_look + 1)
    means, deviations = (moment[:, n - 1] for moment in moments(d))
    error = deviations / np.sqrt(n)
    excluded = np.abs(means) > stats.t.isf(rule.alpha / 2, n - 1) * error
    equivalent = np.abs(means) + stats.t.isf(rule.alpha, n - 1) * error < rule.margin
    return equivalent, np.where(excluded, np.sign(means), 0).astype(np.int8)


def rate(name: str, truth: str, sd: float, z: Floats, rule: StoppingRule) -> Rate:
    """Decide the studies effect + sd z of standardised differences z (S, R)."""
    effect = TRUTHS[truth]
    d = effect + sd * z
    verdicts, replicates = decide_studies(d, rule)
    check(d[:CHECKED], verdicts, replicates, rule)
    share = {
        verdict: float((verdicts == verdict).mean())
        for verdict in ("better", "worse", "equivalent", UNDECIDED)
    }
    wrong_sign = "better" if effect > 0 else "worse"
    wrong = share["equivalent"] + share[wrong_sign] if effect else share["better"] + share["worse"]
    return Rate(
        errors=name,
        truth=truth,
        sd=sd,
        **share,
        replicates=float(replicates.mean()),
        wrong=wrong,
        wrong_at_any_look=float(wrong_looks(*look(d, rule), effect).mean()),
        wrong_by_t_tests=float(wrong_looks(*t_tests(d, rule), effect).mean()),
        studies=len(d),
        monte_carlo_se=standard_error(len(d)),
    )


def check(
    d: Floats, verdicts: NDArray[np.str_], replicates: NDArray[np.int64], rule: StoppingRule
) -> None:
    """Decide studies one by one, look by look, with the public functions."""
    options = {"prior_variance": rule.prior_variance}
    for study, verdict, number in zip(d, verdicts, replicates, strict=False):
        assert decide(study, rule) == (verdict, None if verdict == UNDECIDED else number)
        found = UNDECIDED
        for n in range(rule.first_look, rule.last_look + 1):
            narrow = statistics.confidence_sequence(study[:n], 2 * rule.alpha, **options)
            if max(-narrow.low, narrow.high) < rule.margin:
                found = "equivalent"
            elif statistics.e_value(study[:n], **options) > 1 / rule.alpha:
                found = "better" if study[:n].mean() < 0 else "worse"
            if found != UNDECIDED:
                break
        assert (found, n) == (verdict, number)


def error_rates(studies: int, rule: StoppingRule) -> Iterator[Rate]:
    """Yield the lines of decision.csv."""
    for seed, (name, errors) in enumerate(ERRORS.items()):
        z = errors(np.random.default_rng(seed), (studies, rule.last_look))
        for truth in TRUTHS if name != "A/A" else ["no effect"]:
            for sd in SPREADS:
                yield rate(name, truth, sd, z, rule)


def priors(studies: int, sd: float, margin: float) -> Iterator[Prior]:
    """Yield the lines of prior.csv, all from the same draws."""
    rules = [StoppingRule(margin=margin, alpha=ALPHA, prior_variance=g) for g in PRIORS]
    size = studies, rules[0].last_look
    draws = [
        errors(np.random.default_rng(100 + i), size) for i, errors in enumerate(PROMISED.values())
    ]
    for rule in rules:
        decided = [decide_studies(effect + sd * draws[0], rule) for effect in EFFECTS.values()]
        lengths = [float(replicates.mean()) for _, replicates in decided]
        # The smallest spread has the highest rates: the far end of the margin never helps.
        wrong = [
            float(wrong_looks(*look(effect + SPREADS[0] * z, rule), effect).mean())
            for z in draws
            for effect in (0.0, margin, -margin)
        ]
        yield Prior(
            rule.prior_variance,
            *lengths,
            replicates_mean=float(np.mean(lengths)),
            undecided=max(float((verdicts == UNDECIDED).mean()) for verdicts, _ in decided),
            wrong_at_any_look=max(wrong),
            studies=studies,
        )


def best_prior(rows: list[Prior]) -> float:
    """Return the variance of the shortest studies that keep to 5%, by two standard errors."""
    kept = [r for r in rows if r.wrong_at_any_look + 2 * standard_error(r.studies) <= ALPHA]
    return min(kept, key=lambda row: row.replicates_mean).prior_variance


def main() -> None:
    """Simulate, write both tables and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=10_000, help="simulated for each row")
    parser.add_argument("--sd", type=float, default=0.08, help="of a pilot's differences")
    parser.add_argument("--output", type=Path, default=Path("benchmarks"), help="folder")
    options = parser.parse_args()
    # The priors differ by less than the error of 10,000 studies.
    rows = list(priors(4 * options.studies, options.sd, MARGIN))
    write_csv(options.output / "prior.csv", [vars(row) for row in rows], digits=4)
    print(f"{'g':>5s} {'n: none':>8s} {'5%':>6s} {'10%':>6s} {'mean':>6s} {'wrong':>7s}")
    for row in rows:
        print(
            f"{row.prior_variance:5.1f} {row.replicates_none:8.2f} {row.replicates_5:6.2f} "
            f"{row.replicates_10:6.2f} {row.replicates_mean:6.2f} {row.wrong_at_any_look:7.4f}"
        )
    print(f"shortest within 5%: {best_prior(rows):g}; declared: {PRIOR_VARIANCE:g}\n")
    rates = list(error_rates(options.studies, StoppingRule(margin=MARGIN, alpha=ALPHA)))
    write_csv(options.output / "decision.csv", [vars(row) for row in rates], digits=4)
    print(
        f"{'errors':22s} {'truth':13s} {'sd':>5s} {'wrong':>7s} {'any look':>9s} "
        f"{'t':>6s} {'n':>5s}"
    )
    for line in rates:
        print(
            f"{line.errors:22s} {line.truth:13s} {line.sd:5.2f} {line.wrong:7.4f} "
            f"{line.wrong_at_any_look:9.4f} {line.wrong_by_t_tests:6.3f} {line.replicates:5.1f}"
        )


if __name__ == "__main__":
    main()
