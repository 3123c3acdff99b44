"""The sentence network: its tokens, its vectors and its attention, beside the original's."""

import copy
import pathlib

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trickkit import activations, bert, data, models

# by the original files and other people's code: reference/pretrained.py
REFERENCE = np.load(pathlib.Path(__file__).parent / "reference" / "pretrained.npz")
SENTENCES = [
    "A giant panda eats bamboo.",
    "The demon core's “blinkenlights” flashed; naïve café, 東京! x_y+z 3.14",
]


@pytest.fixture(scope="module")
def net():
    return models.minilm()


@pytest.fixture(scope="module")
def tokens(net):
    return net.tokenizer(SENTENCES)


def test_the_tokens_are_the_original_tokenizers(tokens):
    for i, row in enumerate(tokens):
        wanted = REFERENCE[f"tokens{i}"]
        assert row[: len(wanted)].tolist() == wanted.tolist()
        assert not row[len(wanted) :].any()


def test_vectors_and_attention_are_the_originals(net, tokens):
    """Up to the half of their bits that the weights have lost."""
    last, attention = activations.read(net, tokens, "layers.5", "layers.5.attention.weights")
    for i in range(2):
        n = len(REFERENCE[f"tokens{i}"])
        assert np.abs(last[i, :n].cpu().numpy() - REFERENCE[f"last{i}"]).max() < 0.01
        ours = attention[i, :, :n, :n].cpu().numpy()
        assert np.abs(ours - REFERENCE[f"attention{i}"]).max() < 0.003
        assert not attention[i, :, :, n:].any()  # nobody looks at what only fills up


def test_what_fills_up_changes_nothing(net, tokens):
    alone = net.tokenizer(SENTENCES[:1])
    torch.testing.assert_close(net(tokens)[:1, : alone.shape[1]], net(alone), atol=1e-5, rtol=1e-4)


def test_self_attention_is_torchs():
    layer = bert.SelfAttention(16, 4).double()
    x = torch.randn(3, 5, 16, dtype=torch.float64)
    there = torch.ones(3, 5, dtype=torch.bool)
    there[1, 3:] = False
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True, dtype=torch.float64)
    parts = [layer.query, layer.key, layer.value]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(layer.out.state_dict())
    wanted, _ = theirs(x, x, x, key_padding_mask=~there)
    torch.testing.assert_close(layer(x, there), wanted)


def test_the_tokenizer_knows_every_sentence_of_the_course(net):
    """No line of the corpus is lost: its pieces put together are its letters."""
    texts = data.hackers_and_prophets().text[::60]
    for text, row in zip(texts, net.tokenizer(list(texts)), strict=True):
        words = net.tokenizer.words(row)
        assert words[0] == "[CLS]" and words[-1] == "[SEP]" and "[UNK]" not in words
        together = "".join(word.removeprefix("##") for word in words[1:-1])
        assert len(together) == len(text.replace(" ", ""))


def test_words_are_cut_into_the_longest_pieces(net):
    cut = net.tokenizer.cut("Blinkenlights, CAFÉ\tnow!")
    assert cut == ["blink", "##en", "##lights", ",", "cafe", "now", "!"]
    assert net.tokenizer.cut("x" * 101) == ["[UNK]"]
    assert net.tokenizer.cut("\u200b") == []
    assert net.tokenizer("one two").tolist() == net.tokenizer(["one two"]).tolist()
    assert net.tokenizer(["a " * 600]).shape == (1, bert.LONGEST)


def test_close_meanings_are_close(net):
    """The mean vector of a sentence is nearer to a paraphrase than to its own words elsewhere."""
    texts = ["The cat sat on the mat.", "A kitten rested upon a rug.", "The mat sat on the stock."]
    tokens = net.tokenizer(texts)
    weight = (tokens != bert.PAD)[..., None]
    vectors = (net(tokens).cpu() * weight).sum(1) / weight.sum(1)
    own, other = F.cosine_similarity(vectors[:1], vectors[1:])
    assert own > other


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.rand(1, 3, 8, 8), "numbers of tokens are wanted.*float32"),
        (torch.zeros(1, 0, dtype=torch.int64), "numbers of tokens are wanted"),
        (torch.ones(1, 513, dtype=torch.int64), "at most 512"),
        (torch.zeros(1, 3, dtype=torch.int64), "no first token"),
    ],
)
def test_what_are_no_tokens_is_refused(net, tokens, message):
    with pytest.raises(ValueError, match=message):
        net(tokens)


def test_what_is_no_text_is_refused(net):
    with pytest.raises(ValueError, match="a str; 3 came"):
        net.tokenizer(["one", 3])
    with pytest.raises(ValueError, match="at least one"):
        net.tokenizer([])


def test_a_copy_reads_the_same(net, tokens):
    assert copy.deepcopy(net)(tokens).equal(net(tokens))
