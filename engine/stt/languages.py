"""Which languages each vendor transcribes, as data.

Sources, as read in autumn 2026:

- `dg-nova-3`, `dg-nova-2`: Deepgram, "Models & Languages Overview" (developers.deepgram.com). `multi` is its
  code-switching mode: ten languages with nova-3, English and Spanish only with nova-2.
- `soniox-stt-rt`: Soniox, "Supported languages", model stt-rt-v5. One model for all; `multi` means no hints.
- `speechmatics-rt`: Speechmatics, "Languages", real-time, standard and enhanced. No detection in real time;
  Mandarin is `cmn`, Cantonese `yue`.
- `local-whisper`: the language tokens of Whisper's multilingual models up to large-v2 (openai/whisper,
  `tokenizer.py`, 99 languages), and `multi`: the language of each utterance is detected.

A tag matches its exact entry, else with subtags taken off the end one by one (`pt-AO` is served as `pt`),
each time after the vendor's own names for it (`zh` is `cmn` to Speechmatics). Letter case does not matter.
`auto` means `multi`.
"""

from collections.abc import Mapping

import msgspec

MULTI = "multi"
"""The client's word for several languages, or an unknown one; `auto` is the same."""

DETECT = frozenset({MULTI, "auto"})

_SYNONYMS = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "fil": "tl", "jv": "jw", "cmn": "zh"}
"""Codes for the same language, or one close enough, tried when a table has no entry for the one given."""


class LanguageTable(msgspec.Struct, frozen=True):
    """One vendor's languages by lower-case tag; the value is the spelling the vendor wants."""

    codes: Mapping[str, str]

    def match(self, language: str) -> str | None:
        """The vendor's code for the tag `language`; None when it does not speak it."""
        tag = language.strip().lower().replace("_", "-")
        if tag in DETECT:
            return self.codes.get(MULTI)
        while tag:
            for candidate in (tag, _SYNONYMS.get(tag, tag)):
                if candidate in self.codes:
                    return self.codes[candidate]
            tag = tag.rpartition("-")[0]
        return None


def _table(codes: str, **own_names: str) -> LanguageTable:
    entries = {code.lower(): code for code in codes.split()}
    entries.update({name.replace("_", "-"): code for name, code in own_names.items()})
    return LanguageTable(entries)


ENGLISH = _table("en")
"""An English-only model: `en` and its regional forms."""

DG_NOVA_3 = _table(
    "multi af af-ZA ar ar-AE ar-SA ar-QA ar-KW ar-SY ar-LB ar-PS ar-JO ar-EG ar-SD ar-TD ar-MA ar-DZ ar-TN "
    "ar-IQ ar-IR hy as as-IN be bn bs bg ca zh-HK zh zh-CN zh-Hans zh-TW zh-Hant hr cs cs-CZ da da-DK nl en "
    "en-US en-AU en-GB en-IN en-NZ et fi nl-BE fr fr-CA ka ka-GE de de-CH el gu gu-IN he hi hu id it ja kn "
    "kk kk-KZ ko ko-KR lv lt mk ms mr mn ne no ps ps-AF fa pl pt pt-BR pt-PT pa pa-IN ro ru sr sk sl es "
    "es-419 sv sv-SE tl ta te th th-TH tr tr-TR uk ur vi",
    yue="zh-HK",
)

DG_NOVA_2 = _table(
    "multi bg ca zh zh-CN zh-Hans zh-TW zh-Hant zh-HK cs da da-DK nl en en-US en-AU en-GB en-NZ en-IN et fi "
    "nl-BE fr fr-CA de de-CH el hi hu id it ja ko ko-KR lv lt ms no pl pt pt-BR pt-PT ro ru sk es es-419 sv "
    "sv-SE th th-TH tr uk vi",
    yue="zh-HK",
)

SONIOX = _table(
    "multi af sq ar az eu be bn bs bg ca zh hr cs da nl en et fi fr gl de el gu he hi hu id it ja kn kk ko "
    "lv lt mk ms ml mr no fa pl pt pa ro ru sr sk sl es sw sv tl ta te th tr uk ur vi cy"
)

SPEECHMATICS = _table(
    "ar ba eu be bn bg yue ca hr cs da nl en eo et fi fr gl de el he hi hu id ia ga it ja ko lv lt ms mt cmn "
    "mr mn no fa pl pt ro ru sk sl es sw sv ta th tr uk ur ug vi cy",
    zh="cmn",
    zh_hk="yue",
)

WHISPER = _table(
    "multi en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur "
    "hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn "
    "yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
)

TABLES: Mapping[str, LanguageTable] = {
    "dg-nova-3": DG_NOVA_3,
    "dg-nova-2": DG_NOVA_2,
    "soniox-stt-rt": SONIOX,
    "speechmatics-rt": SPEECHMATICS,
    "local-whisper": WHISPER,
}
"""By vendor name, as in `STT_SERVICE_MODELS`."""

KNOWN: tuple[str, ...] = tuple(sorted({code for table in TABLES.values() for code in table.codes}))
"""Every tag some vendor has an entry for, lower case."""
