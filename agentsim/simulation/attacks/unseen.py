"""What a token server cannot see, with the reason and what could show of it all the same; and what is not played here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unseen:
    """A threat whose cause never reaches a token server.

    Attributes
    ----------
    tags : entries of OWASP Agentic (ASI, T), OWASP NHI, or RFC 9700's attackers (A).
    name : what the taxonomy calls it.
    reason : why no token server sees it.
    effects : kinds of attacks in the catalogue that it may lead to, and that can be seen; empty where there are none.
    """

    tags: tuple[str, ...]
    name: str
    reason: str
    effects: tuple[str, ...] = ()


UNSEEN: tuple[Unseen, ...] = (
    Unseen(
        ("ASI01", "T6"),
        "goal hijack, broken intent",
        "it happens in prompts and answers, which no token request carries",
        ("task_hijack", "scope_escalation", "confused_deputy"),
    ),
    Unseen(
        ("ASI05", "T11"),
        "unexpected code execution",
        "code runs on the agent's machine or in a tool; the server knows that the tool was called, not what it ran",
        ("token_theft", "runaway_fanout"),
    ),
    Unseen(
        ("ASI06", "T1"),
        "poisoned memory and context",
        "an agent's memory is not part of any grant",
        ("task_hijack", "cost_harvesting"),
    ),
    Unseen(
        ("T7",),
        "misaligned and deceptive behaviour",
        "a lie with granted tools looks like the truth with the same tools",
        ("task_hijack",),
    ),
    Unseen(
        ("T15", "ASI09"),
        "people manipulated by their agents",
        "what an agent tells a person goes past the server; it sees what the person then lets it do",
        ("human_use",),
    ),
    Unseen(
        ("T5",),
        "hallucinations that spread",
        "wrong results are results; only calls that fail because of them are written down",
        ("cascade",),
    ),
    Unseen(
        ("ASI07", "T12"),
        "what agents write to each other",
        "messages between agents are not requests for tokens; only the tokens that go along are seen",
        ("confused_deputy", "repudiation"),
    ),
    Unseen(
        ("NHI3",),
        "vulnerable third-party identities",
        "the breach is at the third party; its tokens and clients are seen when they are used from here",
        ("token_theft", "nhi_reuse"),
    ),
    Unseen(
        ("NHI6",),
        "insecure cloud deployments",
        "how a host or a pipeline is set up is not told to the server",
        ("rogue_registration", "token_theft"),
    ),
    Unseen(
        ("A1", "A2"),
        "attackers of the web and of the network (RFC 9700 section 3)",
        "they act in browsers and on wires, before a request arrives or after it was answered",
        ("token_theft", "refresh_replay"),
    ),
)

#: Attacks that the server could see and that are not played, with the reason.
NOT_PLAYED: dict[str, str] = {
    "code_replay": "honest agents of a simulation never ask a person for consent, so that every code would be an attacker's",
    "consent_flood": "for the same reason: there is no usual number of requests for consent to rise above",
    "forged_audit": "no operation of the server changes an audit row; who has the database itself is told by the hash chain",
    "forged_actor": "the server writes the chain of actors itself, and a client cannot leave it out; see repudiation",
    "sybil_tenants": "nothing crosses organisations in a simulation",
}
