import io
import re
import tokenize

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from trickkit import characters, data

CODE = '''def f(a, b=(1, [2, 3])):  # a comment (with one
    """Text ( over
    two lines."""
    x = {"k(": 'it\\'s', 1: a[0]}
    return x  # "no string"
'''


def test_the_alphabet_and_bad_text():
    assert characters.encode("\n a~").tolist() == [0, 1, 66, 95]
    for text in ("", None, "naïve", "tab\t"):
        with pytest.raises(ValueError, match="wanted|not among"):
            characters.encode(text)
    assert characters.plain("a\tb é") == "a       b ?"


def test_the_shipped_file_is_float16_and_small():
    assert data.shipped(characters.FILE).stat().st_size < 2e6


def test_states_agree_with_pytorchs_own_lstm():
    for model in (characters.untrained(), characters.trained()):
        cells = characters.states(model, CODE)
        logits, (h, c) = model(characters.encode(CODE)[:, None])
        assert cells.shape == (len(CODE), characters.HIDDEN)
        assert torch.allclose(cells[-1], c[0, 0], atol=1e-3)
        half, state = model(characters.encode(CODE[:40])[:, None])
        rest, _ = model(characters.encode(CODE[40:])[:, None], state)
        assert torch.allclose(torch.cat([half, rest]), logits, atol=1e-4)


def test_bits_of_a_model_that_knows_nothing_and_of_one_that_knows():
    model = characters.untrained()
    torch.nn.init.zeros_(model.out.weight)
    torch.nn.init.zeros_(model.out.bias)
    assert characters.bits_per_character(model, ["some text", CODE]) == pytest.approx(
        torch.tensor(96.0).log2().item(), abs=1e-4
    )
    model.out.bias.data[characters.encode("a")] = 50
    assert characters.bits_per_character(model, ["aaaaaa"]) == pytest.approx(0, abs=1e-6)


def test_the_trained_reader_guesses_modules_it_never_saw():
    texts = [text[:3000] for text in characters.library(held_out=True)]
    assert len(texts) == len(characters.HELD_OUT)
    assert characters.bits_per_character(characters.trained(), texts) < 2.4


def test_forget_gates_begin_open():
    gates = characters.untrained().lstm.bias_ih_l0.view(4, -1).mean(1)
    assert gates.tolist() == pytest.approx([0, 1, 0, 0], abs=0.05)


def test_training_goes_on_from_where_it_was_by_steps_of_a_bounded_gradient():
    class Watched(characters.Reader):
        def forward(self, codes, state=None):
            begun.append(state is None)
            logits, state = super().forward(codes, state)
            return 100 * logits, state

    begun, sizes = [], []
    watch = register_optimizer_step_pre_hook(
        lambda optimizer, *_: sizes.append(
            torch.cat([p.grad.flatten() for p in optimizer.param_groups[0]["params"]]).norm().item()
        )
    )
    torch.manual_seed(0)
    characters.train(Watched(8), ["abc" * 100], steps=7, lr=0.1, streams=2, length=40)
    watch.remove()
    # 150 characters a stream: three pieces of 40 and one to foretell, then from the beginning
    assert begun == [True, False, False, True, False, False, True]
    assert len(sizes) == 7 and max(sizes) == pytest.approx(1, abs=1e-3)


def test_training_lowers_the_cost_and_repeats_itself():
    texts = ["for i in range(10):\n    print(i)\n" * 60]
    models = [
        characters.train(
            characters.untrained(hidden=24), texts, steps=150, lr=0.03, streams=4, length=30
        )
        for _ in range(2)
    ]
    assert characters.bits_per_character(models[0], texts) < 0.5 * characters.bits_per_character(
        characters.untrained(hidden=24), texts
    )
    assert all(
        torch.equal(a, b)
        for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True)
    )
    with pytest.raises(ValueError, match="too few"):
        characters.train(characters.untrained(hidden=4), ["short"], steps=1)


def test_marks_by_hand():
    marks = characters.marks("f('(', [1]) # (\n  x")
    assert marks["in a string"].tolist() == [0, 0, 1, 1, 0] + [0] * 14
    assert marks["in a comment"].tolist() == [0] * 12 + [1, 1, 1] + [0] * 4
    assert marks["brackets"].tolist() == [0, 1, 1, 1, 1, 1, 1, 2, 2, 1] + [0] * 9
    assert marks["column"].tolist() == [*range(1, 17), 1, 2, 3]
    assert marks["indentation"].tolist() == [0] * 16 + [1, 2, 2]
    assert torch.equal(marks["in either"], marks["in a string"] + marks["in a comment"])


@pytest.mark.parametrize("name", ["textwrap", "heapq", "calendar"])
def test_marks_against_pythons_own_tokenizer(name):
    place = characters.HELD_OUT.index(name)
    text = characters.library(held_out=True)[place]
    # 3.12 takes f-strings apart
    text = re.sub(r"(?i)(?<![\w'\"])(f|rf|fr)(?=['\"])", lambda found: " " * len(found[0]), text)
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    strings = torch.zeros(len(text))
    comments = torch.zeros(len(text))
    depth = torch.zeros(len(text))
    now = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        if token.type == tokenize.STRING:
            prefix = len(token.string) - len(token.string.lstrip("rbufRBUF"))
            strings[begin + prefix : end - 1] = 1
        elif token.type == tokenize.COMMENT:
            comments[begin:end] = 1
        elif token.type == tokenize.OP and token.string in "()[]{}":
            now += 1 if token.string in "([{" else -1
            depth[begin:] = now
    marks = characters.marks(text)
    assert torch.equal(marks["in a comment"], comments) and torch.equal(marks["brackets"], depth)
    assert torch.equal(marks["in a string"], strings)


def test_a_text_of_one_character_has_nothing_to_guess():
    reader = characters.untrained(hidden=4)
    both = characters.bits_per_character(reader, ["x = 1", "x"])
    assert both == characters.bits_per_character(reader, ["x = 1"])
    for texts in (["x"], []):
        with pytest.raises(ValueError, match="nothing to guess"):
            characters.bits_per_character(reader, texts)
    with pytest.raises(ValueError, match="steps is 0"):
        characters.train(reader, ["x" * 100], steps=0)
