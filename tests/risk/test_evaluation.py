from agentsim.risk import gather, read_truth


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
