"""The one error that a person can mend by changing an input."""


class InputError(ValueError):
    """Input that cannot be used.

    The message is one sentence that names the file or key, the value seen and what was expected.
    A stage prints it without a traceback and exits with status 2.
    """
