"""What every report says of the Run that it is about: whether it was played or recorded, and what it was made with."""

from agentsim.run import Run


def origin(run: Run, *, drawn: str, recorded: str) -> str:
    """Where what is reported comes from, in one sentence.

    Parameters
    ----------
    drawn : what of a simulation comes from its seed.
    recorded : what of a replay was recorded.
    """
    manifest = run.manifest
    if manifest.kind == "simulation":
        return f"The run simulates a scenario with seed {manifest.seed}: {drawn} drawn from it, the token server is real."
    traces = manifest.source.get("traces", "unknown")
    return f"The run replays recorded traces ({traces}) against the real token server: {recorded}."


def made_with(run: Run) -> str:
    """The versions, and the commit where there is one, in one sentence."""
    manifest = run.manifest
    made = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
    return f"Made with {made}" + (f", commit {manifest.commit[:12]}." if manifest.commit else ".")
