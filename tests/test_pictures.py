"""Pictures come back as the MNIST digits they were made of, and lines are cut apart."""

import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from jaxnet.datasets import DataError, load_data
from jaxnet.pictures import prepare, read_picture, segment
from scripts import handwriting as script
from scripts.drawings import LETTERS, penned


@pytest.fixture(scope="module")
def digits(mnist):
    return np.asarray(mnist.test.x[:200]).reshape(-1, 28, 28)


@pytest.fixture(scope="module")
def classify(mnist):
    """Random features by least squares: it reads digits that touch, as few can."""
    rng = np.random.default_rng(0)
    w = (rng.normal(size=(784, 1000)) / 4).astype(np.float32)
    b = rng.normal(size=1000).astype(np.float32)

    def features(x):
        return np.maximum(x @ w + b, 0)

    x, y = (np.asarray(a[:10_000]) for a in (mnist.train.x, mnist.train.y))
    h, regularization = features(x), 10 * np.eye(1000, dtype=np.float32)
    v = 10 * np.linalg.solve(h.T @ h + regularization, h.T @ (y - 0.5))
    return lambda x: 1 / (1 + np.exp(-features(x) @ v))


def on_paper(digit, size=1, margins=((3, 3), (3, 3))):
    """Levels 0 to 255 of a digit enlarged by an integer factor."""
    return 255 - np.pad(np.kron(256 * digit, np.ones((size, size))), margins)


def correlation(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def likeness(one, other):
    """The correlation of images, one of which may be shifted by a pixel.

    A centre of mass half-way between two pixels may come to lie on either.
    """
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(correlation(np.roll(one, by, (0, 1)), other) for by in shifts)


@pytest.mark.parametrize(("size", "least"), [(1, 0.999), (5, 0.97)])
def test_a_digit_comes_back_as_itself_in_mnist_s_form(digits, size, least):
    """Larger ones only nearly, since strokes of unusual widths are made less so."""
    images = [prepare(on_paper(digit, size)).image for digit in digits[:12]]
    found = [likeness(*pair) for pair in zip(images, digits, strict=False)]
    assert np.median(found) > least and min(found) > 0.65
    for image in images:
        rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        assert image.shape == (28, 28) and image.max() == 255 / 256
        np.testing.assert_array_equal(image * 256, np.round(image * 256))
        for axis in (0, 1):
            centre = np.arange(28) @ image.sum(axis=1 - axis) / image.sum()
            assert abs(centre - 14) <= 0.5 + 1e-4


@settings(max_examples=6)
@given(
    number=st.integers(0, 199),
    size=st.sampled_from([1, 2, 3]),
    margins=st.tuples(*[st.tuples(*[st.integers(1, 40)] * 2)] * 2),
)
def test_place_and_size_do_not_matter(digits, number, size, margins):
    plain = prepare(on_paper(digits[number], size)).image
    image = prepare(on_paper(digits[number], size, margins)).image
    assert likeness(image, plain) > 0.99
    assert likeness(prepare(on_paper(digits[number], 6)).image, plain) > 0.9


@settings(max_examples=6)
@given(number=st.integers(0, 199), slope=st.floats(-30, 30), least=st.floats(0.4, 1))
def test_uneven_light_and_faint_ink_do_not_matter(digits, number, slope, least):
    levels = 40 + 180 * (1 - least * digits[number].clip(max=1))
    lit = np.pad(levels, 8, constant_values=220) + np.linspace(-slope, slope, 44)
    assert correlation(prepare(lit).image, prepare(levels).image) > 0.95


def test_specks_are_not_cropped_to(digits):
    levels = on_paper(digits[0], 3, ((40, 40), (40, 40)))
    expected = prepare(levels).image
    levels[5:7, 5:7] = levels[-8:-6, -20:-18] = 0
    assert correlation(prepare(levels).image, expected) > 0.9999


@pytest.mark.parametrize(("pen", "width"), [(36, 3.0), (24, 2.4), (1, 1.9)])
def test_strokes_come_half_way_to_the_usual_width(pen, width):
    """MNIST's is 2.4 in a box of 20, where these pens are 3.6, 2.4 and 0.1."""
    levels = np.full((300, 300), 255.0)
    levels[50:250, 140 : 140 + pen] = 0
    levels[50 : 50 + pen, 60:240] = 0
    widths = prepare(levels).image[14:22].sum(axis=1)
    np.testing.assert_allclose(widths, width, atol=0.3)


@settings(max_examples=25)
@given(
    levels=arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), fill=st.nothing()
    )
)
def test_any_levels_are_prepared_or_rejected(levels):
    try:
        stages = prepare(levels)
    except DataError as error:
        assert "Expected ink on paper" in str(error)
    else:
        assert np.isfinite(stages.image).all()
        assert 0 <= stages.image.min() < stages.image.max() == 255 / 256


def test_levels_without_ink_are_rejected():
    for levels in (np.zeros((0, 3)), np.zeros((4, 0)), np.full((5, 5), np.nan)):
        with pytest.raises(DataError, match="Expected finite levels in rows and col"):
            prepare(levels)
    rng = np.random.default_rng(0)
    for sigma in (0, 1, 5, 20):
        with pytest.raises(DataError, match="got a blank picture"):
            prepare(rng.normal(200, sigma, (90, 120)))


def read_back(folder, levels, mode=None, kind="png", **options):
    """The image of a digit that was saved as a picture."""
    path, picture = folder / f"a.{kind}", Image.fromarray(levels)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return prepare(read_picture(path)).image


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B", "I", "F"]
)
def test_every_mode_is_read(digits, tmp_path, mode):
    levels = on_paper(digits[0], 3).astype(np.uint8)
    if mode.startswith("I;16"):
        wide = ">u2" if mode.endswith("B") else "<u2"
        levels, mode = (levels.astype(np.uint16) * 200).astype(wide), None
    elif mode == "F":
        levels, mode = levels.astype(np.float32) / 1000 - 7, None
    assert likeness(read_back(tmp_path, levels, mode, "tiff"), digits[0]) > 0.8


COLOURS = {
    "blue on white": ((30, 40, 160), (250, 248, 240)),
    "red on a green as bright": ((150, 60, 60), (60, 105, 60)),
    "black on saturated blue": ((0, 0, 0), (0, 0, 255)),
    "yellow on white": ((255, 235, 0), (255, 255, 255)),
    "red on green": ((200, 0, 0), (0, 130, 0)),
    "black on nothing": ((0, 0, 0, 255), (0, 0, 0, 0)),
    "white on nothing": ((255, 255, 255, 255), (255, 255, 255, 0)),
}


@pytest.mark.parametrize(("ink", "paper"), COLOURS.values(), ids=COLOURS)
def test_coloured_ink_is_read_and_what_is_transparent_is_paper(
    digits, tmp_path, ink, paper
):
    part = np.kron(digits[0], np.ones((3, 3)))[..., np.newaxis]
    levels = np.array(paper) + part * np.subtract(ink, paper)
    assert likeness(read_back(tmp_path, levels.astype(np.uint8)), digits[0]) > 0.9


UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.T,
    6: lambda x: np.rot90(x),
    7: lambda x: x[::-1, ::-1].T,
    8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photograph_is_turned_upright(digits, tmp_path, orientation):
    """Half of the eight EXIF orientations are mirrored; as stored they read so.

    Of a stereo photograph, the first picture is read.
    """
    stored = UPRIGHT[orientation](on_paper(digits[0], 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_back(tmp_path, stored, kind="jpg", exif=exif, quality=95)
    assert likeness(image, digits[0]) > 0.9
    if orientation == 1:
        options = {"save_all": True, "append_images": [Image.new("L", (90, 90))]}
        image = read_back(tmp_path, stored, kind="mpo", quality=95, **options)
        assert likeness(image, digits[0]) > 0.9


def saved(picture):
    return lambda path: picture.save(path)


BAD_PICTURES = {
    "empty": (lambda path: path.touch(), "expected a picture"),
    "text": (lambda path: path.write_text("not a picture"), "expected a picture"),
    "a folder": (lambda path: path.mkdir(), "expected a picture.*got: not a file"),
    "an iPhone's": (
        lambda path: path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(99)),
        "expected a picture.*Convert it to PNG or JPEG",
    ),
    "of two pages": (
        lambda path: Image.new("L", (9, 9)).save(
            path, "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))]
        ),
        "2 pictures in one file",
    ),
    "blank": (saved(Image.new("RGB", (30, 30), "white")), "got a blank picture"),
    "huge": (saved(Image.new("1", (8001, 8001))), "8001 x 8001, above 64000000 pixels"),
}


@pytest.mark.parametrize(("write", "message"), BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_a_bad_picture_is_rejected_with_its_name(tmp_path, write, message):
    write(tmp_path / "some.png")
    with pytest.raises(DataError, match=f"some.png: .*{message}"):
        read_picture(tmp_path / "some.png")


@pytest.mark.parametrize("read", [read_picture, load_data])
def test_without_pillow_the_error_says_what_to_install(monkeypatch, tmp_path, read):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "a.png").touch()
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ModuleNotFoundError, match=r"Pictures need .*jaxnet\[images\]"):
        read(tmp_path)


def line_of(digits, gap):
    """Levels of digits side by side, cropped, with `gap` empty columns between."""
    parts = []
    for digit in digits:
        columns = np.flatnonzero(digit.any(axis=0))
        parts.append(np.pad(digit[:, columns[0] : columns[-1] + 1], ((0, 0), (0, gap))))
    return on_paper(np.concatenate(parts, axis=1), 2, ((9, 9), (9, 9)))


@pytest.fixture(scope="module")
def six(mnist):
    """The book's 504192."""
    return np.asarray(mnist.train.x[:6]).reshape(6, 28, 28)


@pytest.mark.parametrize("gap", [0, 8])
def test_the_book_s_504192_is_read(six, classify, gap):
    line = line_of(six, gap)
    for levels in (line, 255 - line, *([with_shadow(line.copy())] if gap else [])):
        pieces = segment(levels, classify)
        assert [piece.digit for piece in pieces] == [5, 0, 4, 1, 9, 2]
        lefts = [piece.box[1] for piece in pieces]
        assert lefts == sorted(lefts)
        for piece, digit in zip(pieces, six, strict=True):
            assert 0 < piece.confidence <= 1
            if gap:
                assert likeness(piece.image, digit) > 0.85


def test_lines_of_digits_are_read_one_by_one(six, classify):
    lines = [line_of(part, 8) for part in (six[:3], six[3:])]
    width = max(line.shape[1] for line in lines)
    margins = [((0, 0), (0, width - line.shape[1])) for line in lines]
    padded = [np.pad(*each, mode="edge") for each in zip(lines, margins, strict=True)]
    pieces = segment(np.concatenate(padded), classify)
    assert [piece.digit for piece in pieces] == [5, 0, 4, 1, 9, 2]
    assert [piece.line for piece in pieces] == [0, 0, 0, 1, 1, 1]


def test_an_isolated_shape_is_read_at_least_as_well_as_with_one(
    mnist, digits, classify
):
    labels = np.asarray(mnist.test.y[:20]).argmax(axis=1)
    correct = np.zeros(2, int)
    for digit, label in zip(digits, labels, strict=False):
        for k, one in enumerate((False, True)):
            pieces = segment(on_paper(digit), classify, one=one)
            correct[k] += [piece.digit for piece in pieces] == [label]
    assert correct[0] >= correct[1] - 1 and correct[1] >= 18


def test_a_digit_without_margin_is_read_with_the_same_confidence(digits, classify):
    changes = []
    for digit in digits[:8]:
        rows, columns = (np.flatnonzero(digit.any(axis=axis)) for axis in (1, 0))
        cropped = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        tight, wide = (
            segment(on_paper(cropped, 3, ((n, n), (n, n))), classify, one=True)[0]
            for n in (0, 9)
        )
        changes.append(abs(tight.confidence - wide.confidence))
    assert np.median(changes) < 0.01 and np.mean(changes) < 0.1


def with_rules(levels, squared=False):
    levels[5::40] = np.minimum(levels[5::40], 150)
    if squared:
        with_rules(levels.T)


def with_frame(levels):
    for turned in (levels, levels[::-1], levels.T, levels.T[::-1]):
        turned[8:12, 8:-8] = 0


def with_shadow(levels):
    rows, columns = np.indices(levels.shape)
    slanting = 3 * rows + columns
    levels[slanting > slanting.mean()] *= 0.4
    return levels


@pytest.mark.parametrize(
    "change", [with_rules, partial(with_rules, squared=True), with_frame, with_shadow]
)
def test_lines_frames_and_shadows_are_paper(digits, change):
    for digit in digits[:2]:
        levels = on_paper(digit, 8, ((40, 40), (40, 40)))
        expected = prepare(levels).image
        change(levels)
        assert likeness(prepare(levels).image, expected) > 0.9


def test_what_is_unlike_known_digits_lowers_the_confidence(mnist, digits, classify):
    known = np.asarray(mnist.train.x[:4000])
    rng = np.random.default_rng(0)
    letters = [penned(strokes, 30, rng) for strokes in list(LETTERS.values())[:6]]

    def lowered(inks):
        pages = [on_paper(ink, 1, ((9, 9), (9, 9))) for ink in inks]
        plain, less = (
            [segment(page, classify, one=True, known=k)[0] for page in pages]
            for k in (None, known)
        )
        pairs = zip(plain, less, strict=True)
        return np.array([low.confidence / high.confidence for high, low in pairs])

    assert np.mean(lowered(digits[:6])) > 0.85 and np.mean(lowered(letters)) < 0.6


def test_a_box_is_where_the_digit_is(digits, classify):
    levels = on_paper(digits[0], 2, ((11, 5), (7, 60)))
    [piece] = segment(levels, classify)
    top, left, bottom, right = piece.box
    ink = levels < 255 * 0.75
    assert ink[top:bottom, left:right].sum() == ink.sum()
    assert all(edge.any() for edge in (ink[top], ink[bottom - 1]))
    assert ink[:, left].any() and ink[:, right - 1].any()


def test_what_cannot_be_cut_is_rejected(classify):
    dash = np.full((40, 300), 255.0)
    dash[15:25, 20:280] = 0
    with pytest.raises(DataError, match="cannot be cut up"):
        segment(dash, classify)


@pytest.mark.slow
def test_the_script_measures_what_it_claims(tmp_path):
    found = script.main(out=tmp_path, pictures=60, others=3, hidden=30, epochs=1)
    assert found["test image, as it is"]["change"] > -0.05
    assert found["photograph"]["read"] > 0.6 > found["photograph made 28 x 28"]["read"]
    lines = [each["digits"] for name, each in found.items() if "line" in name]
    assert np.mean(lines) > 0.6
    assert found["letter, with a pen"]["wrong"] < 0.5
