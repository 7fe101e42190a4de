from agentsim.risk import gather, read_attacks, read_truth


def test_a_grant_is_attacked_when_one_operation_on_it_was(world, tmp_path):
    victim, child, honest = world.grant(), world.grant(), world.grant()
    for grant, kind, number in (
        (victim, "theft", 1),
        (victim, "theft", 1),
        (child, "theft", 1),
        (None, "hijack", 2),
    ):
        world.label(grant, attack=kind, attack_id=number, log_id=number)
    run = world.write(tmp_path / "run")
    truth = read_truth(run, gather(run).features.index)
    assert dict(zip((victim, child, honest), truth.attacked, strict=True)) == {
        victim: True,
        child: True,
        honest: False,
    }
    assert truth.attack.to_dict() == {victim: "theft", child: "theft", honest: ""}
    assert truth.attacks.values.tolist() == [["theft", "0/1", 0], ["theft", "0/1", 1], ["hijack", "0/2", -1]]


def test_a_disputed_label_is_not_known(world, tmp_path):
    grants = [world.grant() for _ in range(3)]
    for grant, label in zip(grants, (1, 0, -1), strict=True):
        world.label(grant, label, attempted=True)
    # One bad operation settles what another left open.
    world.label(grants[0], -1, attempted=True)
    run = world.write(tmp_path / "run")
    truth = read_truth(run, gather(run).features.index)
    assert truth.known.tolist() == [True, True, False]
    assert truth.attempted.all()


def test_an_attack_touches_the_parent_of_its_child_and_what_else_is_in_the_tree_is_near(world, tmp_path):
    root = world.grant()
    used = world.grant(parent=root)
    child, sibling, elsewhere = world.grant(parent=used), world.grant(parent=root), world.grant()
    issue = world.rows["audit"][2]
    world.label(child, attack="fanout", attack_id=1, log_id=issue["log_id"], root_grant_id=root)
    # A use names the parent of its grant, too; that parent has nothing to do with it.
    world.verify(sibling, "read", parent_grant_id=root)
    use = world.rows["audit"][-1]
    world.label(sibling, attack="theft", attack_id=2, log_id=use["log_id"], root_grant_id=root)
    found = read_attacks(world.write(tmp_path / "run"))
    grants = found.touched[found.touched["kind"] == "grant"]
    assert set(zip(grants["attack"], grants["entity"], strict=True)) == {
        ("fanout", child),
        ("fanout", used),
        ("theft", sibling),
    }
    near = found.near.groupby("kind")["entity"].agg(set)
    assert near["grant"] == {root, used, child, sibling}
    assert near["tree"] == {root}
    assert near["agent"] == {world.owner_of[grant] for grant in near["grant"]}
    assert world.owner_of[elsewhere] not in near["agent"]
