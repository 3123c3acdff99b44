import hashlib
import io
import os
import pathlib
import random
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from trickkit import data, folders


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


def test_scenes_are_none_of_the_photographs():
    assert set(data.scene_names()).isdisjoint(data.picture_names())
    for name in data.scene_names():
        assert data.scene(name).shape == (1, 3, 427, 640)
        assert "CC-BY-2.0" in data.attribution(name)
    assert data.scene("palace", size=64).shape == (1, 3, 64, 64)
    with pytest.raises(ValueError, match="'dahlia'"):
        data.scene("dalia")


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
    with pytest.raises(FileNotFoundError, match="git checkout -- data/SOURCES.csv"):
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
    assert not data.cache().is_relative_to(folders.ROOT)


def test_tables():
    people = data.titanic()
    assert len(people) == 2201 and people["survived"].sum() == 711  # Dawson 1995, table 1
    loans = data.german_credit()
    assert loans.shape == (1000, 9) and loans["risk"].sum() == 700 and "sex" not in loans
    counts, months = data.compas(), data.compas_months()
    for table in (counts, months):
        assert table["people"].sum() == 7214  # ProPublica's two-year file
        assert (table["people"] * table["reoffended"]).sum() == 3251
    scores = data.credit_scores()
    assert scores.groupby("group").size().eq(198).all() and scores["at_or_below"].max() == 100
    assert data.census().shape == (15000, 10)
    hours = data.bike_hours()
    assert len(hours) == 17379 and hours["rides"].sum() == 3292679  # Fanaee-T and Gama's total
    assert hours[["date", "hour"]].apply(tuple, axis=1).is_monotonic_increasing
    assert data.hackers_and_prophets()["source"].value_counts().tolist() == [3000, 3000]


def test_the_data_fit_the_repository():
    sizes = [p.stat().st_size for p in pathlib.Path(data.DATA).rglob("*") if p.is_file()]
    assert sum(sizes) < 160e6 and max(sizes) < 50e6  # above that, GitHub warns


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


LINE = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)


@pytest.mark.parametrize(
    "levels",
    [
        LINE,
        LINE * 255,
        LINE * 1.1 - 0.05,
        (LINE * 255).astype(np.uint16),
        (LINE * 4095).astype(np.uint16),
        (LINE * 65535).astype(np.uint16),
        (LINE * 255).astype(np.int32),
        (LINE * 65535).astype(np.int32),
    ],
)
def test_grey_of_many_depths_comes_out_right(levels):
    pixels = data.photo(file_of(Image.fromarray(levels), "TIFF"))
    assert (pixels.cpu() - torch.from_numpy(LINE)).abs().max() < 0.06
    assert pixels.min() == 0 and pixels.max() == 1


@pytest.mark.parametrize(
    "levels", [LINE - 1, LINE * np.nan, LINE + np.inf, (LINE * 70_000).astype(np.int32), LINE * 1e6]
)
def test_levels_that_are_no_greys_are_refused(levels):
    with pytest.raises(ValueError, match="holds grey levels from .* Save it as an 8-bit PNG"):
        data.photo(file_of(Image.fromarray(levels), "TIFF"))


@pytest.mark.parametrize("mode", ["YCbCr", "CMYK", "RGBA", "LA", "PA", "La", "RGBa", "HSV", "LAB"])
def test_other_modes_are_read_or_refused(mode):
    if mode == "LAB":
        with pytest.raises(ValueError, match=r"L\*a\*b\*"):
            data.photo(file_of(Image.new("LAB", (4, 4)), "TIFF"))
        return
    grey = Image.new("L", (4, 4), 128)
    steps = {"PA": ["P", "PA"], "La": ["LA", "La"], "RGBa": ["RGBA", "RGBa"], "HSV": ["RGB", "HSV"]}
    for step in steps.get(mode, [mode]):
        grey = grey.convert(step)
    read = data._in_rgb(grey, deep=False)
    assert read.mode == "RGB" and abs(np.asarray(read).mean() - 128) < 2


def test_twelve_bits_in_sixteen_are_not_taken_for_black():
    def png(levels, kind):  # 16 bits of each colour, which Pillow cannot write
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
        size = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 16, kind, 0, 0, 0)
        out = b"\x89PNG\r\n\x1a\n"
        for name, part in ((b"IHDR", size), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
            out += struct.pack(">I", len(part)) + name + part
            out += struct.pack(">I", zlib.crc32(name + part))
        return out

    colours = np.stack([LINE] * 3, 2)
    assert data.photo(png(colours * 65535, 2)).max() == 1
    for kind, levels in ((2, colours * 4095), (6, np.dstack([colours * 4095, LINE * 0 + 65535]))):
        with pytest.raises(ValueError, match="fewer than its 16 bits"):
            data.photo(png(levels, kind))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "The file is empty"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 50, "a HEIC photo.*export it as one"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg xmlns='x'/>", "an SVG drawing"),
        (b"<svg/>", "an SVG drawing"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (b"GIF87a", "not a picture that can be read"),
    ],
)
def test_what_else_people_have_is_named(content, says):
    with pytest.raises(ValueError, match=says):
        data.photo(content)


@pytest.mark.parametrize("form", ["PPM", "ICO", "TGA", "PCX", "ICNS", "JPEG2000"])
def test_no_other_reader_is_open(form):
    file = file_of(Image.new("RGB", (16, 16), "red"), form)
    with pytest.raises(ValueError, match="not a picture that can be read"):
        data.photo(file)


def test_no_program_is_started(tmp_path, monkeypatch):
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for begin in (b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6" + b"\0" * 28):
        with pytest.raises(ValueError, match="a PostScript drawing"):
            data.photo(begin + b"%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n")
    assert not (tmp_path / "ran").exists()


def exif(*tags):
    """The block of a camera's tags: (number, type, count, four bytes)."""
    listed = b"".join(struct.pack("<HHI", *tag[:3]) + tag[3].ljust(4, b"\0") for tag in tags)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + listed + b"\0" * 4


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_odd_tags_cost_no_photo(form):
    wide = Image.new("RGB", (40, 20), "black")
    turned = (274, 3, 1, struct.pack("<H", 6))
    # a length that is text, beside a turn that is right: Pillow could read, but not write that
    odd = exif((257, 7, 4, b"abcd"), turned)
    assert data.photo(file_of(wide, form, exif=odd)).shape[2:] == (40, 20)
    for tag in (
        (274, 3, 1, struct.pack("<H", 77)),
        (274, 2, 4, b"six\0"),
        (274, 5, 1, b"\xff\xff\xff\xff"),
        (274, 7, 4, b"\6\0\0\0"),
    ):
        assert data.photo(file_of(wide, form, exif=exif(tag))).shape[2:] == (20, 40)


def test_every_turn_is_the_one_that_pillow_knows():
    picture = Image.fromarray((np.arange(60).reshape(4, 5, 3) * 4).astype(np.uint8))
    for turn in range(1, 9):
        tags = Image.Exif()
        tags[274] = turn
        file = file_of(picture, "PNG", exif=tags)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))
        assert np.array_equal(data.to_bytes(data.photo(file)), expected)


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_end_in_a_picture_or_a_sentence():
    dice = random.Random(0)
    noise = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)
    picture = Image.fromarray(noise)
    tags = Image.Exif()
    tags[274] = 6
    whole = [
        file_of(picture, form, exif=tags) for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF")
    ]
    whole += [file_of(picture.convert("P"), "PNG", transparency=1), file_of(picture, "BMP")]
    whole += [file_of(picture.convert(mode), "TIFF") for mode in ("F", "I", "1", "CMYK", "LAB")]
    read = 0
    for _ in range(3000):
        file = bytearray(dice.choice(whole))
        for _ in range(dice.choice([1, 3, 10])):
            place = dice.randrange(min(len(file), dice.choice([40, 200, len(file)])))
            file[place : place + dice.choice([0, 1, 2])] = dice.choice([b"", b"\0", b"\xff", b"ab"])
        try:
            pixels = data.photo(bytes(file))
        except ValueError as error:
            assert str(error).startswith("The file ")
        else:
            read += 1
            assert pixels.isfinite().all() and 0 <= pixels.min() and pixels.max() <= 1
    assert read > 300


def test_paths_that_lead_to_no_photo(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere")
    for path, error, says in (
        (tmp_path / "pipe", ValueError, "a pipe or a device"),
        ("/dev/zero", ValueError, "a pipe or a device"),
        ("x" * 5000, ValueError, "cannot be opened as a file: File name too long"),
        ("a\0b", ValueError, "cannot be opened as a file: embedded null byte"),
        ("~nobody-of-that-name/x.png", ValueError, "home directory"),
        ("a\nb.png", FileNotFoundError, r"There is no file a\\nb\.png"),
        (tmp_path / "lost.png", FileNotFoundError, "There is no file"),
        (tmp_path / "pipe" / "x.png", FileNotFoundError, "There is no file"),
        (None, ValueError, "a NoneType came"),
        (np.zeros(3), ValueError, "a ndarray came"),
    ):
        with pytest.raises(error, match=says):
            data.photo(path)


def test_a_file_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    (tmp_path / "mine.png").write_bytes(b"x")

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "read_bytes", refuse)
    with pytest.raises(ValueError, match="mine.png cannot be read: Permission denied"):
        data.photo(tmp_path / "mine.png")


def test_bytes_may_be_held_in_many_ways_and_sizes_be_anybodys():
    file = file_of(Image.new("RGB", (5, 9), "red"), "PNG")
    stream = io.BytesIO(file)
    for held in (file, bytearray(file), memoryview(file), stream):
        assert data.photo(held, size=np.int64(4)).shape == (1, 3, 4, 4)
    assert stream.tell() == 0
    for size in (True, 0, 1.5, "8", 10**6):
        with pytest.raises(ValueError, match="whole number of pixels"):
            data.photo(file, size=size)
    with pytest.raises(ValueError, match="side is 0"):
        data.scaled(torch.rand(1, 3, 4, 4), side=0)
    with pytest.raises(ValueError, match="all finite"):
        data.png(torch.full((1, 3, 4, 4), torch.nan))
