"""The base of every error that a user can mend.

    UserError
    ├── RunError        agentsim.run         a directory is no Run, or a damaged or newer one
    ├── SettingsError   agentsim.settings    all mistakes of a scenario or policy at once, each with its path
    ├── TraceError      agentsim.simulation  a trace file is missing columns, or cannot be read
    ├── ExportError     agentsim.risk        alerts cannot be written in that form, or to that place
    ├── ModelError      agentsim.risk        a saved model was changed, is foreign, or does not fit this version
    ├── SweepError      agentsim.experiments no such cell, or a directory holds no sweep
    ├── CorruptionError agentsim.experiments evidence cannot be spoiled as was asked for
    ├── ForkError       agentsim.simulation  a Run cannot be forked, or plays its beginning otherwise
    ├── BenchError      agentsim.experiments a server did not come up, or a request was not granted
    ├── SoakError       agentsim.experiments a directory holds no soak, or a damaged or newer one
    ├── ThresholdError  agentsim.risk        no threshold can be chosen so, or a file of thresholds does not fit
    └── ReportError     agentsim.reporting   no such report, or a parameter that its notebook does not have

The command line prints such an error as one message and exits with status 2. What the token server refuses
is an :class:`agentsim.server.errors.OAuthError`, which is an answer, not a user's mistake.
"""


class UserError(ValueError):
    """A mistake of the user's; ``str()`` says what is wrong and what to do."""
