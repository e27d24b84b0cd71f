"""Which engine may encode a source: tiktoken where it gives the tokenizer's own ids on a sample and on texts made to part the two."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestrator.shards.encoder import Encoder, open_encoder
from orchestrator.shards.engines import EngineChoice
from orchestrator.shards.split_pattern import NotConvertibleError
from orchestrator.shards.vocabulary import Vocabulary

_LONG_RUN = 1 << 12  # characters: past what either engine does differently for short pieces
_SPACES = ("", " ", "  ", "   ", "\t", " \t", "\n", "\n\n", " \n ", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\v\f")
_AROUND = ("a", "1", "12", ".", "é", "中", "'s", "\u00b2", "\U00011de1", "\u0301", "\x00", "\ud55c")
_TEXTS = (
    "don't DON'T Don'T we'll WE'LL I'd i'M they're THEY'RE I've 'tis 'S 's '\u017f ' s it''s \u2019s 5's 's5 '5",
    "e\u0301 \u00e9 a\u0323\u0307 q\u0307\u0323 \u1112\u1161\u11ab \u212b \ufb01 n\u0303 o\u0302\u0301",
    "今日は世界。中文\uff0c漢字\uff01 ひらがなカタカナー・々 한국어 ไทย हिन्दी देवनागरी",
    "العربية مُحَمَّد ١٢٣ ۱۲۳ עברית שָׁלוֹם \u202e\u200f\u2067",
    "👩‍👩‍👧‍👦 🇩🇪🇯🇵 👍🏽 ❤️ 1️⃣ \u200d\u200c\ufe0f 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "".join(map(chr, range(0x00, 0xA1))),
    "\ufeff\ufffd\ufffe\uffff\U0010ffff\U00040000\ue000 \\ud800 \\x00 %00 &#0; \\u12 \\",
    "1234567 12.5 1,000 3.14e-10 ½ ² ₂ Ⅷ ⑨ 一 \U0001d7d9 ٣ १२ 0x1F v1.2.3 10% \u16ee \u3007 \U00016ff4\U00016ff5",
    "".join(f"a{new}'s  {new}" for new in "\U00011f04\U0001e4d0\U00031350\U0002ebf0\U00010d4a\U000105c0\U00011db0\u088f"),
    "#include <a.h>\n\tif (x != y) {\r\n\t\treturn a[i++];\n    }\n\n\n  \t // \n--==>>::??!!...\"\"''``~~^^||&&\n",
    "<s></s><pad><unk>[CLS][SEP][MASK]<|endoftext|><|im_start|>user\n<|im_end|> <|begin_of_text|><|eot_id|>",
)


def choose_engine(vocabulary: Vocabulary, sample_texts: Sequence[str]) -> EngineChoice:
    """Choose tiktoken if it gives the same ids as the tokenizer on every text.

    Args:
        vocabulary: the tokenizer.
        sample_texts: documents of the source.
    """
    sampled = {"sampled_documents": len(sample_texts), "sampled_bytes": sum(len(text.encode()) for text in sample_texts)}
    try:
        fast = open_encoder(vocabulary, "tiktoken")
    except NotConvertibleError as reason:
        return EngineChoice(name="tokenizers", **sampled, reason=f"tiktoken cannot do this tokenizer: {reason}")
    constructed = _constructed(vocabulary)
    if difference := _first_difference(fast, open_encoder(vocabulary, "tokenizers"), [*sample_texts, *constructed], len(sample_texts)):
        return EngineChoice(name="tokenizers", **sampled, reason=difference)
    same = f"the same ids as tokenizers in {len(sample_texts):,} documents of the source and {len(constructed):,} constructed texts"
    return EngineChoice(name="tiktoken", **sampled, reason=same)


def _first_difference(fast: Encoder, exact: Encoder, texts: Sequence[str], num_sampled: int) -> str | None:
    for index, text in enumerate(texts):
        (found,), (expected,) = fast.encode_batch([text]), exact.encode_batch([text])
        if not np.array_equal(found, expected):
            which = f"document {index + 1} of the sample" if index < num_sampled else f"the constructed text {text[:40]!r}"
            return f"tiktoken differs in {which}: {_difference(found, expected)}"
    return None


def _difference(found: NDArray[np.uint32], expected: NDArray[np.uint32]) -> str:
    shorter = min(len(found), len(expected))
    place = int(np.argmax([*(found[:shorter] != expected[:shorter]), True]))
    here = slice(place, place + 5)
    return f"from token {place} on it gives {found[here].tolist()}, tokenizers {expected[here].tolist()}"


@lru_cache(maxsize=4)
def _constructed(vocabulary: Vocabulary) -> list[str]:
    return list(_constructed_texts(vocabulary))


def _constructed_texts(vocabulary: Vocabulary) -> Iterator[str]:
    yield from ("", *_TEXTS)
    yield "".join(left + space + right for space in _SPACES for left in _AROUND for right in _AROUND)
    yield from (space + word + space for space in _SPACES for word in _AROUND)
    yield from (
        unit * (_LONG_RUN // len(unit)) for unit in ("a", " ", "\n", "1", ".", "\u00e9", "\u4e2d", "ab", " word", "\n ", "\u0301", "\x00")
    )
    yield " " * _LONG_RUN + "x" + " " * _LONG_RUN + "1" + "\n" * _LONG_RUN
    for content in (token.content for token in vocabulary.open().get_added_tokens_decoder().values()):
        yield f"{content} a{content}b {content}{content}\n{content}1 {content[:-1]} {content[1:]}{content.upper()}"
