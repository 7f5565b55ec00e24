"""Errors of experiments that differ in training data and steps alone.

The compute of a training is 3 MACs x samples: a backward pass counts as two forward ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dvc.repo.experiments.serialize import ExpState

from chimera.files.artifacts import Row
from chimera.interface.errors import InputError
from chimera.review.experiments import HEADLINE, file_leaves
from chimera.review.leaves import differing, flatten

VARIED = ("train.trajectories", "train.steps")


def learning_rows(states: Sequence[ExpState], params: Mapping[str, Any]) -> list[Row]:
    """Return the errors of what `dvc exp show` lists: a row a size, steps, model and axis.

    Those experiments count whose parameters are `params` but for VARIED; nrmse is the mean over
    replicates, nrmse_sd their standard deviation, blank for a single one. It is an InputError if
    there is none, or one of them has no errors.
    """
    found: dict[tuple[int, ...], list[Row]] = {}
    for run in (run for commit in states for run in commit.experiments or () if run.revs):
        state, executor = run.revs[0], run.executor
        kept = file_leaves(state.data.params, "params.yaml") if state.data else {}
        if kept.get(VARIED[0]) is None or not differing(kept, flatten(params)).keys() <= {*VARIED}:
            continue
        if executor and executor.state != "success":
            raise InputError(
                f"the experiment {run.name} is {executor.state}, expected a finished one"
            )
        files = (HEADLINE, "metrics/parity.json")
        errors, parity = (file_leaves(state.data.metrics, file) for file in files)
        if not (errors and parity):
            stated = f"the experiment {run.name} lacks metrics"
            raise InputError(f"{stated}, expected {' and '.join(files)}")
        size, steps = point = tuple(kept[key] for key in VARIED)
        forward = 3 * steps * kept["train.batch_size"] * kept["train.unroll"]
        found[point] = [
            Row(model=model, axis=axis, trajectories=size, steps=steps, nrmse=errors[key])
            | {"nrmse_sd": errors.get(f"{key}_sd", ""), "macs": parity[f"{model}.macs"] * forward}
            for model in params["model_names"]
            for axis in ("ind", "ood")
            if (key := f"{model}.{axis}.nrmse") in errors
        ]
    if not found:
        raise InputError(f"no experiment of this commit differs in {' and '.join(VARIED)} alone")
    return [row for point in sorted(found) for row in found[point]]
