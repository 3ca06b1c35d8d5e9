"""A session's books: every packet and every sample is in exactly one term on each side.

    packets  received = decoded + rejected
    samples  decoded + concealed = final + silent + gated + pending + lost + not for STT

Every term is counted where it happens; `pending` is measured from positions when a snapshot is taken. None
is what is left over from the others, so an imbalance shows that audio went missing or was counted twice.
Costs an addition each.
"""

import msgspec

__all__ = ["Imbalance", "Ledger", "LedgerSnapshot"]


class Imbalance(AssertionError):
    """The books do not balance; says which side has how many more."""


class LedgerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The terms at a moment; packets and 16 kHz samples. Snapshots of several sessions can be added.

    packets_received   codec packets the client sent
    packets_decoded    of those, decoded
    packets_rejected   of those, not decodable

    decoded            samples from decoded packets
    concealed          samples made in place of rejected ones
    final              covered by final results with words
    silent             covered by final results without words: the vendor's clock passed them
    gated              kept from the vendor because nobody spoke
    pending            not covered yet
    lost               will never be covered; must be 0
    not_for_stt        received while nobody was to transcribe
    """

    packets_received: int = 0
    packets_decoded: int = 0
    packets_rejected: int = 0
    decoded: int = 0
    concealed: int = 0
    final: int = 0
    silent: int = 0
    gated: int = 0
    pending: int = 0
    lost: int = 0
    not_for_stt: int = 0

    @property
    def samples_in(self) -> int:
        """Samples written to the timeline."""
        return self.decoded + self.concealed

    @property
    def samples_accounted(self) -> int:
        """Samples of which it is known what became of them."""
        return self.final + self.silent + self.gated + self.pending + self.lost + self.not_for_stt

    def __add__(self, other: "LedgerSnapshot") -> "LedgerSnapshot":
        names = self.__struct_fields__
        return LedgerSnapshot(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def imbalance(self) -> tuple[int, int]:
        """Packets and samples that one side has more than the other; (0, 0) when the books balance."""
        packets = self.packets_received - self.packets_decoded - self.packets_rejected
        return packets, self.samples_in - self.samples_accounted

    def check(self) -> None:
        """Raises `Imbalance` unless both identities hold."""
        packets, samples = self.imbalance()
        if packets or samples:
            raise Imbalance(
                f"{packets} packets and {samples} samples more came in than are accounted for: {self}"
            )


class Ledger:
    """The books while the session lives. All methods but `snapshot` count; amounts are never negative."""

    def __init__(self) -> None:
        self._packets_received = self._packets_decoded = self._packets_rejected = 0
        self._decoded = self._concealed = 0
        self._final = self._silent = self._gated = self._lost = self._not_for_stt = 0

    def received(self, *, packets: int, decoded: int, rejected: int) -> None:
        """A message held `packets` codec packets, of which that many could be decoded and could not."""
        self._packets_received += packets
        self._packets_decoded += decoded
        self._packets_rejected += rejected

    def heard(self, *, decoded: int, concealed: int) -> None:
        """Samples were written to the ring."""
        self._decoded += decoded
        self._concealed += concealed

    def covered(self, samples: int, *, spoken: bool) -> None:
        """A final result covers `samples` samples more, with words in them (`spoken`) or without."""
        if spoken:
            self._final += samples
        else:
            self._silent += samples

    def gated(self, samples: int) -> None:
        """Samples were not sent to the vendor because nobody spoke in them."""
        self._gated += samples

    def lost(self, samples: int) -> None:
        """Samples will never be covered."""
        self._lost += samples

    def not_for_stt(self, samples: int) -> None:
        """Samples came while nobody was to transcribe them."""
        self._not_for_stt += samples

    @property
    def samples_in(self) -> int:
        """Samples written to the timeline."""
        return self._decoded + self._concealed

    @property
    def final(self) -> int:
        """Samples covered by final results with words."""
        return self._final

    def snapshot(self, *, pending: int) -> LedgerSnapshot:
        """The terms now. `pending`: what positions say is written and neither covered nor given up."""
        return LedgerSnapshot(
            packets_received=self._packets_received,
            packets_decoded=self._packets_decoded,
            packets_rejected=self._packets_rejected,
            decoded=self._decoded,
            concealed=self._concealed,
            final=self._final,
            silent=self._silent,
            gated=self._gated,
            pending=pending,
            lost=self._lost,
            not_for_stt=self._not_for_stt,
        )
