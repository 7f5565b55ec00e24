"""Errors of experiments that differ in training data and steps alone.

The compute of a training is 3 MACs x samples, the backward pass counted as two forward passes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dvc.repo.experiments.serialize import ExpState

from chimera.files.artifacts import Row
from chimera.interface.errors import InputError
from chimera.review.experiments import file_leaves
from chimera.review.leaves import differing, flatten

VARIED = ("train.trajectories", "train.steps")


def learning_rows(states: Sequence[ExpState], params: Mapping[str, Any]) -> list[Row]:
    """Return the errors of what `dvc exp show` lists, one row a model, axis, size and steps.

    Those experiments count whose parameters are `params` but for VARIED; nrmse is the mean over
    replicates, nrmse_sd their standard deviation, blank for a single one.

    Raises:
        InputError: If there is none that has finished, or one of them has failed.
    """
    found, unfinished = {}, []
    for name, kept, standing, metrics in _experiments(states):
        if not differing(kept, flatten(params)).keys() <= {*VARIED}:
            continue
        if standing != "success":
            unfinished.append(f"{name} ({standing})")
        elif size := kept.get(VARIED[0], _available(params)):
            found[size, kept[VARIED[1]]] = metrics
    if unfinished:
        raise InputError(
            f"{', '.join(unfinished)} gave no errors, expected every experiment of the curves to "
            "have finished: `dvc queue logs` says why; `dvc exp remove` forgets one"
        )
    if not found:
        raise InputError(
            f"no experiment of this commit differs in {' and '.join(VARIED)} alone, expected some: "
            "run `make curves`, with the same OVERRIDES"
        )
    return [row for point in sorted(found) for row in _rows(point, params, *found[point])]


def _experiments(
    states: Sequence[ExpState],
) -> Iterator[tuple[str, dict[str, Any], str, tuple[dict[str, Any], dict[str, Any]]]]:
    """Yield name, parameters, standing, and leaves of summary and parity of every experiment."""
    for commit in states:
        runs = [(run.revs[0], run.executor) for run in commit.experiments or () if run.revs]
        for state, executor in [(commit, None), *runs] if commit.rev != "workspace" else []:
            if state.data is None:
                continue
            params = file_leaves(state.data.params, "params.yaml")
            files = ("metrics/summary.json", "metrics/parity.json")
            summary, parity = (file_leaves(state.data.metrics, file) for file in files)
            standing = executor.state if executor else "success" if summary else "no results"
            yield state.name or state.rev[:7], params, standing, (summary, parity)


def _available(params: Mapping[str, Any]) -> int | None:
    """Return how many trajectories train without VARIED, None where only the files say it."""
    if params["data"]["source"] != "generated":
        return None
    return int(params["data"]["datasets"][params["datasets"][0]]["trajectories"]["train"])


def _rows(
    point: tuple[int, int],
    params: Mapping[str, Any],
    summary: Mapping[str, float],
    parity: Mapping[str, float],
) -> Iterator[Row]:
    train = params["train"]
    samples = point[1] * train["batch_size"] * train["unroll"]
    for model in params["model_names"]:
        for axis in ("ind", "ood"):
            if f"{model}.{axis}.nrmse" in summary:
                yield Row(
                    model=model,
                    axis=axis,
                    trajectories=point[0],
                    steps=point[1],
                    macs=3 * int(parity[f"{model}.macs"]) * samples,
                    nrmse=summary[f"{model}.{axis}.nrmse"],
                    nrmse_sd=summary.get(f"{model}.{axis}.nrmse_sd", ""),
                )
