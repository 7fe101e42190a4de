"""Token Status Lists (draft-ietf-oauth-status-list): signed, compressed, following the fill."""

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.server.clock import SECOND
from agentsim.server.http import context as module
from agentsim.server.statuslists import decode_list, encode_list, is_set
from agentsim.server.statusplaces import PLACES, join, split

POLICY = {"status_lists": True}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists as they are now."""
    monkeypatch.setattr(module, "KEPT", 0.0)


def named(token: str) -> tuple[int, str]:
    status = jwt.decode(token, options={"verify_signature": False})["status"]["status_list"]
    return status["idx"], status["uri"]


def fetched(site: Any, uri: str) -> dict[str, Any]:
    answer = site.http.get(uri)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    assert jwt.get_unverified_header(answer.text)["typ"] == "statuslist+jwt"
    (jwk,) = site.get("/jwks").json()["keys"]
    options = {"verify_exp": False, "verify_iat": False}
    return dict(jwt.decode(answer.text, jwt.PyJWK(jwk), algorithms=[jwk["alg"]], options=options))


def ended(site: Any, token: str) -> bool:
    place, uri = named(token)
    told = fetched(site, uri)
    assert told["sub"] == uri
    assert told["iat"] == site.clock.now() // SECOND
    assert told["status_list"]["bits"] == 1
    return is_set(decode_list(told["status_list"]["lst"]), place)


def filled(site: Any, token: str) -> bool:
    return any(ended(site, token) for _ in range(100))


def test_a_token_s_bit_is_set_when_the_fill_has_reached_it(site: Any) -> None:
    agent = site.agent()
    root = site.root(agent)
    child, other = site.child(agent, root), site.root(agent)
    assert len({named(each["access_token"]) for each in (root, child, other)}) == 3
    assert not ended(site, root["access_token"])
    site.post("/revoke", auth=agent, data={"token": root["access_token"]})
    assert filled(site, child["access_token"])
    assert ended(site, root["access_token"])
    assert not ended(site, other["access_token"])


def test_a_list_that_no_token_is_in_is_not_there(site: Any) -> None:
    for number in ("1", "99999999", str(1 << 62)):
        answer = site.get(f"/statuslists/{number}")
        assert (answer.status_code, answer.json()["reason"]) == (404, "no_such_list")
    assert site.get("/statuslists/one").status_code == 400


def test_who_takes_nothing_but_cwt_is_told_so(site: Any) -> None:
    assert site.get("/statuslists/0", headers={"Accept": "application/statuslist+cwt"}).status_code == 406
    assert site.get("/statuslists/0", headers={"Accept": "application/statuslist+jwt"}).status_code == 200


def test_without_lists_tokens_name_none(make_site: Any) -> None:
    site = make_site()
    token = site.root(site.agent())["access_token"]
    assert "status" not in jwt.decode(token, options={"verify_signature": False})


@given(st.sets(st.integers(0, PLACES - 1), max_size=50))
def test_a_list_comes_back_as_it_was_sent(places: set[int]) -> None:
    bits = bytearray(PLACES // 8)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    read = decode_list(encode_list(bytes(bits)))
    assert read == bytes(bits)
    assert all(is_set(read, place) for place in places)
    assert sum(byte.bit_count() for byte in read) == len(places)


def test_the_bits_are_in_the_order_of_the_draft() -> None:
    """Its example of sixteen statuses (section 4.1): 1 0 0 1 1 1 0 1, 1 1 0 0 0 1 0 1 read 0xb9, 0xa3."""
    statuses = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    assert [is_set(bytes((0xB9, 0xA3)), place) for place in range(16)] == [bool(each) for each in statuses]
    # And that very list as the draft has it compressed.
    assert decode_list("eNrbuRgAAhcBXQ") == bytes((0xB9, 0xA3))


@pytest.mark.parametrize("text", ["", "!!!", "eNrbuRg", "AAAA"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a status list"):
        decode_list(text)


def test_a_list_that_packs_too_well_is_not_unpacked() -> None:
    bomb = encode_list(bytes(PLACES))
    with pytest.raises(ValueError, match="too long"):
        decode_list(bomb, most=1_000)


@given(st.integers(0, 2**62))
def test_a_place_is_list_and_place_in_it(index: int) -> None:
    assert join(*split(index)) == index
