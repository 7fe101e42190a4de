from agentsim.lineage import check


def test_an_honest_run_breaks_no_rule(told_run):
    assert check(told_run) == []
