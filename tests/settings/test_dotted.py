"""Values laid upon settings by keys with dots."""

from agentsim.settings.dotted import find, lay

SETTINGS = {"policy": {"access_ttl": "5m", "limits": None}, "attacks": [{"stealth": 0.5}], "name": "a"}


def test_each_value_goes_to_its_place_and_the_rest_stays():
    laid, found = lay(
        SETTINGS, {"policy.access_ttl": "1m", "attacks.0.stealth": 1, "policy.limits.tree.burst": 3}
    )
    assert found == []
    assert laid == {
        "policy": {"access_ttl": "1m", "limits": {"tree": {"burst": 3}}},
        "attacks": [{"stealth": 1}],
        "name": "a",
    }
    assert SETTINGS["attacks"] == [{"stealth": 0.5}]
    assert find(laid, "attacks.0.stealth") == 1
    assert find(laid, "policy.limits.tree.rate") is None
    assert find(laid, "attacks.1.stealth") is None


def test_a_key_of_a_part_is_laid_upon_the_part_in_whatever_order_they_come():
    laid, _ = lay(SETTINGS, {"policy.access_ttl": "1m", "policy": {"grant_ttl": "1h"}})
    assert laid["policy"] == {"grant_ttl": "1h", "access_ttl": "1m"}


def test_the_next_number_adds_an_entry_to_a_list():
    laid, found = lay(SETTINGS, {"attacks.1.kind": "token_theft", "attacks.1.stealth": 0})
    assert found == []
    assert laid["attacks"] == [{"stealth": 0.5}, {"kind": "token_theft", "stealth": 0}]


def test_every_key_without_a_place_is_told_and_the_others_are_laid():
    laid, found = lay(SETTINGS, {"attacks.2.stealth": 1, "attacks.x": 1, "name.first": 2, "seed": 7})
    assert laid == {**SETTINGS, "seed": 7}
    assert {fault.path: fault.message for fault in found} == {
        "attacks.2.stealth": "there is no entry 2: the list has 1",
        "attacks.x": "there is no 'x' in a list: its entries are named by numbers, from 0",
        "name.first": "there is no 'first': what holds it is the single value 'a'",
    }
