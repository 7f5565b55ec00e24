"""A training run that can be killed and watched.

Its folder holds `state.safetensors`, from which the next run goes on, and `history.csv`, the lines
so far, which a person may read at any time: files are replaced whole.
"""

from dataclasses import asdict
from pathlib import Path

from chimera.artifacts import write_csv
from chimera.checkpoints import read_tensors, write_tensors
from chimera.progress import Progress
from chimera.training import Training, run


def run_resumable(training: Training, label: str, folder: Path) -> None:
    """Go on from the state in the folder, if there is one, to the last step.

    In a group every process takes part, rank 0 writes and reports.

    Args:
        training: As it is before its first step.
        label: What progress calls the run.
        folder: Of this very run, see chimera.scratch.

    Raises:
        InputError: If the training diverges, or the folder cannot be written.
    """
    group, settings = training.group, training.settings
    state, history = folder / "state.safetensors", folder / "history.csv"
    group.wait()  # until rank 0 has the folder to itself
    if state.exists():
        training.restore(*read_tensors(state))
    group.wait()  # until all have read the same
    with Progress(
        label,
        settings.steps,
        training.completed,
        samples=settings.batch_size,
        shown=group.rank == 0,
    ) as progress:

        def save(training: Training) -> None:
            content = training.state()
            if group.rank == 0:
                write_tensors(state, *content)

        def report(training: Training) -> None:
            group.require_launcher()
            progress.show(training.completed, training.note())

        def record(training: Training) -> None:
            if group.rank == 0:
                write_csv(history, [asdict(row) for row in training.history])

        if settings.steps > training.completed:
            progress.say(f"the history so far is in {history}")
        run(training, save, report, record)
