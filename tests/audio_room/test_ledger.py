"""The books: two identities, nothing counted as what is left over."""

import pytest

from engine.audio.ledger import Imbalance, Ledger, LedgerSnapshot


def filled() -> Ledger:
    ledger = Ledger()
    ledger.received(packets=10, decoded=8, rejected=2)
    ledger.heard(decoded=1280, concealed=320)
    ledger.covered(500, spoken=True)
    ledger.covered(300, spoken=False)
    ledger.gated(200)
    ledger.not_for_stt(100)
    return ledger


def test_books_that_balance() -> None:
    snapshot = filled().snapshot(pending=500)
    assert snapshot.imbalance() == (0, 0)
    snapshot.check()
    assert (snapshot.samples_in, snapshot.samples_accounted) == (1600, 1600)
    assert (snapshot.final, snapshot.silent, snapshot.lost) == (500, 300, 0)


def test_what_is_pending_is_measured_so_that_a_missing_sample_shows() -> None:
    with pytest.raises(Imbalance, match="0 packets and 1 samples more came in than are accounted for"):
        filled().snapshot(pending=499).check()


def test_an_uncounted_packet_shows() -> None:
    ledger = filled()
    ledger.received(packets=1, decoded=0, rejected=0)
    assert ledger.snapshot(pending=500).imbalance() == (1, 0)


def test_lost_samples_are_accounted_for() -> None:
    ledger = filled()
    ledger.lost(500)
    snapshot = ledger.snapshot(pending=0)
    snapshot.check()
    assert snapshot.lost == 500


def test_a_snapshot_does_not_change() -> None:
    ledger = filled()
    before = ledger.snapshot(pending=500)
    ledger.heard(decoded=1, concealed=0)
    assert before.decoded == 1280
    with pytest.raises(AttributeError):
        before.decoded = 0  # type: ignore[misc]


def test_sessions_add_up() -> None:
    one, other = filled().snapshot(pending=500), LedgerSnapshot(decoded=7, pending=7, packets_received=1)
    total = one + other
    assert (total.decoded, total.pending, total.packets_received, total.final) == (1287, 507, 11, 500)
    assert sum([one, other], LedgerSnapshot()) == total
