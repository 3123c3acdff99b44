import hashlib
import io
import pathlib
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from trickkit import data


def file_of(image: Image.Image, form: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def test_every_file_is_listed_and_as_shipped():
    there = {str(p.relative_to(data.DATA)) for p in data.DATA.rglob("*") if p.is_file()} - {
        "SOURCES.csv",
        "papers.csv",
    }
    assert there == set(data.sources())
    for file, row in data.sources().items():
        assert hashlib.sha256((data.DATA / file).read_bytes()).hexdigest() == row["sha256"], file
        assert row["author"] and row["licence"] and row["source"], file


@pytest.mark.parametrize("name", data.picture_names())
def test_pictures(name):
    image = data.picture(name, size=224)
    whole = data.picture(name)
    assert image.shape == (1, 3, 224, 224) and image.dtype == torch.float32
    assert 0 <= image.min() and image.max() <= 1 and image.std() > 0.1
    assert f"{whole.shape[3]}x{whole.shape[2]}" == data.sources()[f"pictures/{name}.jpg"]["size"]


def test_paintings_and_their_makers():
    assert len(data.painting_names()) == 6 and data.painting("great_wave", size=64).shape == (
        1,
        3,
        64,
        64,
    )
    assert "Hokusai" in data.attribution("great_wave")
    assert data.attribution("panda", "moose").count(";") == 1
    with pytest.raises(ValueError, match="'panda'"):
        data.attribution("pnda")


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: data.picture("pandas"), "picture called 'pandas'. Did you mean 'panda'"),
        (lambda: data.painting("great wave"), "Did you mean 'great_wave'"),
        (lambda: data.picture("panda", size=0), "whole number of pixels"),
        (lambda: data.picture("panda", size=1.5), "whole number of pixels"),
        (lambda: data.photo(b"no picture at all"), "not a picture that can be read"),
        (
            lambda: data.photo(file_of(Image.new("RGB", (300, 200), "red"), "JPEG")[:-400]),
            "damaged or cut short",
        ),
        (lambda: data.photo(b"x" * 40_000_001), "larger than 40 MB"),
        (lambda: data.photo(file_of(Image.new("1", (9000, 6000)), "PNG")), "9000 × 6000 pixels"),
        (lambda: data.shipped("pictures/nothing.jpg"), "There is no file in data/"),
        (lambda: data.to_bytes(torch.rand(2, 3, 4, 4)), "One image is wanted"),
    ],
)
def test_bad_input_is_answered(ask, says):
    with pytest.raises(ValueError, match=says):
        ask()


def test_a_decompression_bomb_is_refused_from_its_header():
    # a PNG of a few bytes that claims ten thousand million pixels
    size = struct.pack(">II", 100_000, 100_000)
    head = b"IHDR" + size + b"\x08\x02\x00\x00\x00"
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    bomb += struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    with pytest.raises(ValueError, match="picture"):
        data.photo(bomb)


def test_missing_and_damaged_files(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="There is no file .*holiday.jpg"):
        data.photo(tmp_path / "holiday.jpg")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        data.photo(tmp_path)
    (tmp_path / "pictures").mkdir()
    sources = data.sources()
    monkeypatch.setattr(data, "DATA", tmp_path)
    with pytest.raises(FileNotFoundError, match="git checkout -- data/pictures/panda.jpg"):
        data.picture("panda")
    (tmp_path / "pictures" / "panda.jpg").write_bytes(b"\xff\xd8 no panda")
    with pytest.raises(ValueError, match="panda.jpg is damaged"):
        data.picture("panda")
    data.sources.cache_clear()
    with pytest.raises(FileNotFoundError, match="make course"):
        data.sources()
    monkeypatch.undo()
    assert data.sources() == sources


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1", "LA", "I;16"])
def test_every_kind_of_photo_becomes_rgb(mode):
    grey = Image.fromarray(np.full((20, 30), 128, np.uint8))
    image = Image.new("I;16", (30, 20), 128 * 257) if mode == "I;16" else grey.convert(mode)
    pixels = data.photo(file_of(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert pixels.shape == (1, 3, 20, 30)
    if mode != "1":  # black and white only: dithered
        assert torch.allclose(pixels, torch.tensor(128 / 255), atol=0.01)


def test_transparency_lies_over_white_and_rotation_is_applied():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    white = torch.ones(1, 3, 4, 4)
    assert torch.equal(data.photo(file_of(clear, "PNG")).cpu(), white)
    palette = Image.new("P", (4, 4), 0)
    assert torch.equal(data.photo(file_of(palette, "PNG", transparency=0)).cpu(), white)
    wide = Image.new("RGB", (40, 20), "black")
    wide.paste("white", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise
    pixels = data.photo(file_of(wide, "JPEG", exif=exif, quality=100))
    assert pixels.shape == (1, 3, 40, 20)
    assert pixels[0, 0, :15].mean() > 0.9 and pixels[0, 0, 25:].mean() < 0.1


@pytest.mark.parametrize("shape", [(3000, 40), (40, 3000), (100, 100), (1, 1)])
def test_a_large_photo_is_made_smaller_while_it_is_opened(shape):
    image = torch.rand(1, 3, 6, 9)
    large = torch.nn.functional.interpolate(image, shape, mode="bicubic").clamp(0, 1)
    file = data.png(large)
    small = data.photo(file, max_side=1000)
    if max(shape) < 1000:
        assert torch.equal(small, data.photo(file))
    else:
        wanted = data.scaled(large, side=1000)
        assert small.shape == wanted.shape and (small - wanted).abs().mean() < 0.02
    with pytest.raises(ValueError, match="max_side is 0"):
        data.photo(file, max_side=0)


def test_what_a_file_keeps(tmp_path):
    image = torch.rand(1, 3, 9, 7)
    file = tmp_path / "x.png"
    file.write_bytes(data.png(image))
    assert torch.equal(data.photo(file).cpu(), data.as_saved(image))
    assert (data.as_saved(image) - image).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(data.as_saved(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 1.0]))


def test_digits_and_clothes():
    for split, train, test in ((data.digits(), 4000, 1000), (data.clothes(), 10000, 2000)):
        assert split.train_images.shape == (train, 1, 28, 28) and split.test_images.shape == (
            test,
            1,
            28,
            28,
        )
        assert split.train_images.min() == 0 and split.train_images.max() == 1
        assert split.train_labels.dtype == torch.int64 and len(split.names) == 10
        counts = torch.cat([split.train_labels, split.test_labels]).bincount()
        assert (counts == (train + test) // 10).all()


def test_the_complete_sets_offline_end_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    from torchvision.datasets import mnist, utils

    def nowhere(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(mnist, "download_and_extract_archive", nowhere)
    monkeypatch.setattr(utils, "_urlretrieve", nowhere)
    for ask in (lambda: data.digits(full=True), lambda: data.clothes(full=True), data.cifar10):
        with pytest.raises(
            FileNotFoundError, match="could not be downloaded. Connect to the network once"
        ):
            ask()


def test_the_complete_digits_are_read_from_their_own_format(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    raw = data.cache() / "MNIST" / "raw"
    raw.mkdir(parents=True)
    dice = np.random.default_rng(0)
    for part, n in (("train", 7), ("t10k", 3)):
        pixels = dice.integers(0, 256, (n, 28, 28), np.uint8)
        labels = dice.integers(0, 10, n).astype(np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, n, 28, 28) + pixels.tobytes()
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, n) + labels.tobytes()
        )
    split = data.digits(full=True)
    assert (
        split.train_images.shape == (7, 1, 28, 28) and split.test_labels.tolist() == labels.tolist()
    )
    assert torch.equal(
        (split.test_images.cpu() * 255).round().byte().squeeze(1), torch.from_numpy(pixels)
    )
    assert not data.cache().is_relative_to(data.ROOT)


def test_tables():
    people = data.titanic()
    assert len(people) == 2201 and people["survived"].sum() == 711  # Dawson 1995, table 1
    loans = data.german_credit()
    assert len(loans) == 1000 and loans["risk"].sum() == 700
    assert data.hackers_and_prophets()["source"].value_counts().tolist() == [3000, 3000]


def test_the_data_fit_the_repository():
    assert sum(p.stat().st_size for p in pathlib.Path(data.DATA).rglob("*") if p.is_file()) < 60e6


def test_tic_tac_toe_ends_as_it_does():
    boards = data.tic_tac_toe()
    marks = boards.drop(columns="x_wins")
    # Aha 1991
    assert len(boards) == 958 and boards.x_wins.sum() == 626 and not marks.duplicated().any()
    ahead = (marks == "x").sum(axis=1) - (marks == "o").sum(axis=1)
    assert ahead.isin([0, 1]).all() and (ahead[boards.x_wins == 1] == 1).all()
    full = (marks != "empty").all(axis=1)
    # x has won, the board is full, or o has just won
    assert ((boards.x_wins == 1) | full | (ahead == 0)).all()
