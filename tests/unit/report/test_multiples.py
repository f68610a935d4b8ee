"""Small multiples: their text is an SVG, and points are where their numbers say."""

import base64
import io
import xml.etree.ElementTree as Tree

import numpy as np
import pytest
from PIL import Image

from catalog_builder.report.multiples import Multiples, Scale, coloured, png_of

SVG = "{http://www.w3.org/2000/svg}"


def drawn(x, y):
    return Multiples([x], [y], (200.0, 100.0))


@pytest.mark.parametrize("scale", [Scale(0, 10), Scale(10, 0), Scale(1, 1000, log=True)])
def test_ticks_lie_on_the_axis_and_are_few(scale):
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert all(-1e-9 <= scale.share(value) <= 1 + 1e-9 for value, _ in ticks)


def test_points_are_where_they_belong():
    picture = drawn(Scale(0, 10, "<i>T</i><sub>eff</sub>"), Scale(-1, 1, "y"))
    picture.dots(0, 0, [0, 5, 10, np.nan], [-1, 0, 1, 0], "#000")
    picture.line(0, 0, [0, 5, 6, 10], [0, np.nan, 0, 1], "#000")
    picture.band(0, 0, [0, 10], [-1, -1], [1, 1], "#000")
    tree = Tree.fromstring(picture.picture("what").data)
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in tree.iter(f"{SVG}circle")]
    assert len(dots) == 3
    assert dots[1][0] - dots[0][0] == pytest.approx(100)
    assert dots[0][1] - dots[2][1] == pytest.approx(100)
    path = next(one for one in tree.iter(f"{SVG}path") if one.get("fill") == "none")
    assert path.get("d").count("M") == 2  # a gap where a point is not known


def test_cells_turn_with_inverted_axes():
    """Of two cells the one at low x and y is red; gravity and temperature go the other way."""
    colours = np.zeros((2, 2, 4), dtype=np.uint8)
    colours[0, 0] = 255, 0, 0, 255
    corners = {}
    for name, scale in {"plain": Scale(0, 2), "kiel": Scale(2, 0)}.items():
        picture = drawn(scale, scale)
        picture.cells(0, 0, colours, ((0, 2), (0, 2)))
        tree = Tree.fromstring(picture.picture("").data)
        (image,) = tree.iter(f"{SVG}image")
        content = base64.b64decode(image.get("href").split(",")[1])
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        corners[name] = tuple(np.argwhere(pixels[..., 0] == 255)[0])
        assert float(image.get("width")) == pytest.approx(200)
    assert corners == {"plain": (1, 0), "kiel": (0, 1)}  # row from the top, column


def test_pictures_are_read_by_others():
    image = np.random.default_rng(1).integers(0, 255, (7, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png_of(image)))), image)


def test_what_is_not_known_is_seen_through():
    colours = coloured(np.array([0.0, 1.0, np.nan]), 0.0, 1.0, "viridis")
    assert colours[2, 3] == 0
    assert (colours[0] != colours[1]).any()
