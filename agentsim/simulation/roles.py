"""The built-in roles, as data. A scenario may change single fields of a role, or add roles of its own.

The figures are plausible, not measured: calls take about a second, thinking ten times that; a tool call fails
about once in twelve, as in public traces of agents (5 to 11 %).
"""

from typing import Any

ROLES: dict[str, dict[str, Any]] = {
    "orchestrator": {
        "summary": "plans a piece of work, hands its parts to specialised agents and reports back",
        "level": "elevated",
        "tools": {
            "plan_write": ["planner"],
            "kb_search": ["wiki"],
            "ticket_read": ["jira"],
            "ticket_update": ["jira"],
            "message_send": ["chat"],
        },
        "start": {"plan_write": 3, "ticket_read": 5, "kb_search": 2},
        "chain": {
            "ticket_read": {"kb_search": 3, "plan_write": 5, "message_send": 1},
            "kb_search": {"kb_search": 2, "plan_write": 4, "ticket_read": 1},
            "plan_write": {"message_send": 4, "ticket_update": 3, "kb_search": 2, "plan_write": 1},
            "message_send": {"ticket_update": 4, "message_send": 2, "plan_write": 2},
            "ticket_update": {"message_send": 3, "ticket_read": 2, "plan_write": 2},
        },
        "tasks": [
            {"text": "Deliver feature {n}", "weight": 4},
            {"text": "Prepare release {n}", "weight": 2},
            {
                "text": "Handle incident {n}",
                "weight": 2,
                "tools": ["ticket_read", "ticket_update", "kb_search", "message_send"],
            },
            {
                "text": "Answer management question {n}",
                "weight": 2,
                "tools": ["plan_write", "kb_search", "message_send"],
            },
        ],
        "steps": 4.0,
        "gap": "25s",
        "call": "800ms",
        "fanout": 2.2,
        "child_roles": {
            "orchestrator": 0.12,
            "code_reviewer": 0.34,
            "data_analyst": 0.32,
            "support_agent": 0.22,
        },
        "revokes": 0.3,
    },
    "code_reviewer": {
        "summary": "reads a change, runs its tests and writes review comments",
        "level": "standard",
        "tools": {
            "file_read": ["github"],
            "diff_read": ["github"],
            "code_search": ["github"],
            "test_run": ["ci"],
            "log_read": ["ci"],
            "comment_write": ["github", "jira"],
        },
        "start": {"diff_read": 8, "code_search": 1, "file_read": 1},
        "chain": {
            "diff_read": {"file_read": 6, "code_search": 2, "test_run": 2},
            "file_read": {
                "file_read": 4,
                "code_search": 3,
                "diff_read": 1,
                "comment_write": 2,
                "test_run": 1,
            },
            "code_search": {"file_read": 7, "code_search": 2, "comment_write": 1},
            "test_run": {"log_read": 6, "comment_write": 3, "test_run": 1},
            "log_read": {"file_read": 4, "test_run": 2, "comment_write": 3},
            "comment_write": {"file_read": 3, "comment_write": 3, "diff_read": 1, "test_run": 1},
        },
        "tasks": [
            {"text": "Review pull request {n}", "weight": 5},
            {
                "text": "Find the cause of failing build {n}",
                "weight": 2,
                "tools": ["file_read", "code_search", "test_run", "log_read"],
            },
            {
                "text": "Check dependencies of service {n}",
                "weight": 2,
                "tools": ["file_read", "code_search", "comment_write"],
                "resources": ["github"],
            },
        ],
        "steps": 5.0,
        "gap": "12s",
        "call": "1200ms",
        "fanout": 0.3,
        "child_roles": {"code_reviewer": 1},
    },
    "data_analyst": {
        "summary": "queries tables and files, and turns them into charts and reports",
        "level": "restricted",
        "tools": {
            "table_describe": ["warehouse"],
            "db_query": ["warehouse", "crm"],
            "file_read": ["s3"],
            "file_write": ["s3"],
            "chart_make": ["notebooks"],
            "report_write": ["wiki"],
        },
        "start": {"table_describe": 6, "file_read": 2, "db_query": 2},
        "chain": {
            "table_describe": {"db_query": 8, "table_describe": 2},
            "db_query": {
                "db_query": 5,
                "chart_make": 2,
                "table_describe": 1,
                "file_write": 1,
                "report_write": 1,
            },
            "file_read": {"file_read": 2, "db_query": 3, "chart_make": 2, "file_write": 1},
            "file_write": {"db_query": 2, "report_write": 3, "chart_make": 2},
            "chart_make": {"chart_make": 2, "report_write": 4, "db_query": 3},
            "report_write": {"db_query": 2, "report_write": 1, "chart_make": 1},
        },
        "tasks": [
            {
                "text": "Weekly figures of product {n}",
                "weight": 4,
                "resources": ["warehouse", "s3", "notebooks", "wiki"],
            },
            {
                "text": "Clean data set {n}",
                "weight": 3,
                "tools": ["table_describe", "db_query", "file_read", "file_write"],
                "resources": ["warehouse", "s3"],
            },
            {
                "text": "Segment customers for campaign {n}",
                "weight": 2,
                "tools": ["table_describe", "db_query", "chart_make", "report_write"],
            },
        ],
        "steps": 5.0,
        "gap": "18s",
        "call": "3s",
        "fanout": 0.15,
        "child_roles": {"data_analyst": 1},
    },
    "support_agent": {
        "summary": "answers customers' tickets, waiting for people in between",
        "level": "standard",
        "tools": {
            "ticket_read": ["helpdesk"],
            "customer_lookup": ["crm"],
            "kb_search": ["wiki"],
            "email_read": ["mailbox"],
            "email_send": ["mailbox"],
            "ticket_update": ["helpdesk"],
            "refund_issue": ["billing"],
        },
        "start": {"ticket_read": 8, "email_read": 2},
        "chain": {
            "ticket_read": {"customer_lookup": 5, "kb_search": 4, "email_read": 1},
            "email_read": {"customer_lookup": 3, "kb_search": 3, "ticket_update": 2},
            "customer_lookup": {"kb_search": 4, "email_send": 2, "ticket_update": 2, "refund_issue": 1},
            "kb_search": {"kb_search": 2, "email_send": 4, "ticket_update": 3},
            "email_send": {"ticket_update": 5, "email_read": 4},
            "ticket_update": {"ticket_read": 3, "email_send": 2, "ticket_update": 1},
            "refund_issue": {"email_send": 5, "ticket_update": 4},
        },
        "tasks": [
            {
                "text": "Answer customer ticket {n}",
                "weight": 6,
                "tools": [
                    "ticket_read",
                    "customer_lookup",
                    "kb_search",
                    "email_read",
                    "email_send",
                    "ticket_update",
                ],
            },
            {
                "text": "Settle complaint {n}",
                "weight": 2,
                "tools": [
                    "ticket_read",
                    "customer_lookup",
                    "email_read",
                    "email_send",
                    "ticket_update",
                    "refund_issue",
                ],
            },
            {
                "text": "Sort the inbox of team {n}",
                "weight": 2,
                "tools": ["email_read", "ticket_update", "kb_search"],
            },
        ],
        "steps": 4.0,
        "gap": "50s",
        "call": "900ms",
        "moves": 0.05,
    },
}
"""Role name to the fields of :class:`agentsim.simulation.role.Role`."""
