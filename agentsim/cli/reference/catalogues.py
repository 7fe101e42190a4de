"""What there is to choose from and to look at: features, attacks, roles, notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentsim.cli.reference.markdown import code, codes, prose, table

if TYPE_CHECKING:
    from agentsim.reporting.catalogue import Notebook


def features() -> str:
    """The features, by family."""
    from agentsim.risk.catalogue import FAMILIES, FEATURES, families
    from agentsim.risk.states import KINDS

    def rows(family: str) -> list[tuple[str, ...]]:
        return [
            (
                code(name),
                "all" if FEATURES[name].kinds == KINDS else ", ".join(FEATURES[name].kinds),
                FEATURES[name].unit,
                FEATURES[name].meaning,
            )
            for name in families(family)
        ]

    return "\n\n".join(
        f"### {family}\n\n{_sentence(told)}\n\n{table(('feature', 'of', 'unit', 'meaning'), rows(family))}"
        for family, told in FAMILIES.items()
    )


def refusals() -> str:
    """Which refusals each group holds."""
    from agentsim.risk.reasons import REFUSALS

    rows = [(code(f"refused_{group}"), codes(reasons) or "any other") for group, reasons in REFUSALS.items()]
    return table(("feature", "reasons in the audit trail"), rows)


def attacks() -> str:
    """A section for each built-in attack."""
    from agentsim.simulation.attacks import ATTACKERS, describe

    return "\n\n".join(_attack(describe(attacker)) for attacker in ATTACKERS.values())


def _attack(told: dict[str, Any]) -> str:
    facts = [f"Tags: {', '.join(told['tags'])}."]
    facts += [f"What it does not imitate at stealth 1: {told['deviation']}."] if told["deviation"] else []
    facts += [f"Signals: {_signals(told['signals'])}."]
    parts = [f"### {told['kind']}", prose(told["does"]), prose(told["notes"]), " ".join(facts)]
    return "\n\n".join(filter(None, parts))


def _signals(signals: list[str]) -> str:
    from agentsim.risk.catalogue import FAMILIES

    families = [each for each in signals if each in FAMILIES]
    single = codes(each for each in signals if each not in FAMILIES)
    links = ", ".join(f"[{each}](features.md#{each})" for each in families)
    return f"{single}, and any of {links}" if families and single else single or f"any of {links}"


def other_signals() -> str:
    """Signals of attacks that are no features."""
    from agentsim.simulation.attacks import SIGNALS

    return table(("signal", "meaning"), [(code(name), text) for name, text in SIGNALS.items()])


def unseen() -> str:
    """What a token server cannot see, and what it could see and is not played."""
    from agentsim.simulation.attacks import NOT_PLAYED, UNSEEN

    rows = [(each.name, ", ".join(each.tags), each.reason, _links(each.effects)) for each in UNSEEN]
    cannot = table(("threat", "tags", "why it is not seen", "attacks that may come of it"), rows)
    could = table(("attack", "why it is not played"), [(code(kind), why) for kind, why in NOT_PLAYED.items()])
    return f"{cannot}\n\n### What it could see and is not played here\n\n{could}"


def _links(kinds: tuple[str, ...]) -> str:
    return ", ".join(f"[{kind}](#{kind})" for kind in kinds)


def roles() -> str:
    """The built-in roles, a row each."""
    from agentsim.simulation.role import Role
    from agentsim.simulation.rolebook import describe
    from agentsim.simulation.roles import ROLES

    head = ("role", "does", "tools", "calls", "lasts", "children", "of roles", "level", "starts")
    rows = []
    for name, data in ROLES.items():
        role = Role.model_validate(data)
        told = describe(name, role)
        figures = (told["calls"], told["lasts"], told["fanout"], told["children"])
        rows.append(
            (code(name), told["does"], codes(role.tools), *map(str, figures), told["level"], told["starts"])
        )
    return table(head, rows)


def notebooks() -> str:
    """A section for each notebook, with its parameters."""
    from agentsim.reporting.catalogue import NOTEBOOKS

    return "\n\n".join(_notebook(each) for each in NOTEBOOKS.values())


def _notebook(notebook: Notebook) -> str:
    from agentsim.cli.reference.fields import keys

    kind = {"page": "It becomes a report.", "workbook": "It is worked through in JupyterLab."}[notebook.kind]
    about = {
        "none": "It needs no Run.",
        "one": "It is about one Run.",
        "several": "It is about several Runs.",
    }
    what = about[notebook.runs] if notebook.about == "run" else "It is about a soak."
    told = f"{notebook.question} {kind} {what}"
    return f"### {notebook.name}\n\n{told}\n\n{keys(notebook.parameters)}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
