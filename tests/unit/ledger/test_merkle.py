"""Contract of the Merkle log: RFC 6962 roots and proofs, which accept what is true and nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.kernel.errors import Invalid
from stopwork.ledger.merkle import (
    EMPTY_ROOT,
    MemoryNodes,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

# The leaves and roots that certificate transparency implementations test against.
PUBLISHED_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
PUBLISHED_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
LARGEST = 64


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(index.to_bytes(4, "big")) for index in range(count)]


def tree_of(leaf_hashes: list[bytes]) -> Tree:
    tree = Tree(MemoryNodes())
    tree.extend(leaf_hashes)
    return tree


def by_definition(leaf_hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaf_hashes:
        return hashlib.sha256(b"").digest()
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    k = 1
    while k * 2 < len(leaf_hashes):
        k *= 2
    return node_hash(by_definition(leaf_hashes[:k]), by_definition(leaf_hashes[k:]))


LEAVES = leaves(LARGEST)
ROOTS = [by_definition(LEAVES[:size]) for size in range(LARGEST + 1)]
TREE = tree_of(LEAVES)


@pytest.mark.parametrize(("size", "root"), PUBLISHED_ROOTS.items())
def test_published_roots(size: int, root: str) -> None:
    tree = tree_of([leaf_hash(bytes.fromhex(leaf)) for leaf in PUBLISHED_LEAVES])
    assert tree.root(size).hex() == root


def test_every_root_is_that_of_the_definition() -> None:
    assert [TREE.root(size) for size in range(LARGEST + 1)] == ROOTS


def test_every_entry_is_proved_in_every_later_log() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = TREE.inclusion_proof(index, size)
            assert verify_inclusion(index, size, LEAVES[index], proof, ROOTS[size]), (index, size)


def test_every_log_is_proved_to_begin_with_every_earlier_one() -> None:
    for size in range(LARGEST + 1):
        for earlier in range(size + 1):
            proof = TREE.consistency_proof(earlier, size)
            assert verify_consistency(earlier, size, ROOTS[earlier], ROOTS[size], proof), (earlier, size)


def test_a_rewritten_entry_shows_in_every_later_consistency_proof() -> None:
    for earlier in range(1, 17):
        rewritten = tree_of([*LEAVES[: earlier - 1], leaf_hash(b"rewritten"), *LEAVES[earlier:17]])
        proof = rewritten.consistency_proof(earlier, 17)
        assert not verify_consistency(earlier, 17, ROOTS[earlier], rewritten.root(17), proof)


places = st.integers(1, LARGEST).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))


@given(places, st.data())
def test_a_changed_inclusion_proof_proves_nothing(place: tuple[int, int], data: st.DataObject) -> None:
    index, size = place
    proof = list(TREE.inclusion_proof(index, size))
    changed = data.draw(
        st.sampled_from(["leaf", "root", "index", "longer", *(["node", "shorter"] if proof else [])])
    )
    leaf, root = LEAVES[index], ROOTS[size]
    match changed:
        case "leaf":
            leaf = leaf_hash(leaf)
        case "root":
            root = leaf_hash(root)
        case "index":
            index = data.draw(st.integers(-2, size + 2).filter(lambda other: other != place[0]))
        case "longer":
            proof.append(data.draw(st.sampled_from(LEAVES)))
        case "node":
            at = data.draw(st.integers(0, len(proof) - 1))
            proof[at] = leaf_hash(proof[at])
        case "shorter":
            del proof[data.draw(st.integers(0, len(proof) - 1))]
    assert not verify_inclusion(index, size, leaf, proof, root)


@given(places, st.data())
def test_a_changed_consistency_proof_proves_nothing(place: tuple[int, int], data: st.DataObject) -> None:
    earlier, size = place[0] + 1, place[1]
    proof = list(TREE.consistency_proof(earlier, size))
    changed = data.draw(
        st.sampled_from(["before", "after", "longer", *(["node", "shorter"] if proof else [])])
    )
    before, after = ROOTS[earlier], ROOTS[size]
    match changed:
        case "before":
            before = leaf_hash(before)
        case "after":
            after = leaf_hash(after)
        case "longer":
            proof.append(data.draw(st.sampled_from(LEAVES)))
        case "node":
            at = data.draw(st.integers(0, len(proof) - 1))
            proof[at] = leaf_hash(proof[at])
        case "shorter":
            del proof[data.draw(st.integers(0, len(proof) - 1))]
    assert not verify_consistency(earlier, size, before, after, proof)


def test_the_empty_log_proves_only_its_own_root() -> None:
    assert verify_consistency(0, 8, EMPTY_ROOT, ROOTS[8], ())
    assert not verify_consistency(0, 8, ROOTS[1], ROOTS[8], ())
    assert not verify_consistency(9, 8, ROOTS[9], ROOTS[8], ())


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 16, 21])
def test_a_log_goes_on_where_it_stopped_however_many_come_at_once(at_once: int) -> None:
    nodes = MemoryNodes()
    for size in range(0, LARGEST, at_once):
        Tree(nodes, size).extend(LEAVES[size : size + at_once])
    assert Tree(nodes, LARGEST).root() == ROOTS[LARGEST]
    assert [len(nodes.levels[level]) for level in range(7)] == [LARGEST >> level for level in range(7)]


def test_nothing_added_changes_nothing() -> None:
    tree = tree_of(LEAVES[:5])
    tree.extend([])
    assert (tree.size, tree.root()) == (5, ROOTS[5])


def test_stored_nodes_are_written_once() -> None:
    nodes = MemoryNodes()
    Tree(nodes).extend(LEAVES)
    with pytest.raises(Invalid, match="does not come after"):
        Tree(nodes).extend(LEAVES)


def test_what_the_log_does_not_have_is_refused() -> None:
    tree = tree_of(LEAVES[:5])
    for ask in (
        lambda: tree.root(6),
        lambda: tree.inclusion_proof(5),
        lambda: tree.inclusion_proof(-1),
        lambda: tree.inclusion_proof(0, 6),
        lambda: tree.consistency_proof(4, 3),
        lambda: tree.consistency_proof(-1),
    ):
        with pytest.raises(Invalid):
            ask()
