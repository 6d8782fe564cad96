"""The one exception that a wrong input raises."""


class InputError(ValueError):
    """A value somebody gave is unusable. The message is one line: the value received and what to do about it."""
