"""The one error that a person can mend by changing an input."""


class InputError(ValueError):
    """Input that cannot be used.

    The message is one sentence that names the file or key, the value seen and what was expected.
    A stage prints it without a traceback and exits with status 2.
    """


class InapplicableError(InputError):
    """Data of a form that a probe does not measure, such as another grid or a single trajectory.

    With own flow the study goes on without that probe; with generated flow it is bad input.
    """
