"""What someone does on a page: point at a figure, go back, download."""

from __future__ import annotations

from pathlib import Path


def middle_of_point(page, key: str, place: int) -> tuple[float, float]:
    """Where a point of a figure's last trace is, once it has been scrolled to.

    Args:
        key: how the key of the figure's container begins.
        place: of the point in its trace, from 0.
    """
    points = page.locator(f"[class*='st-key-{key}'] .scatterlayer .trace").last.locator("path.point")
    points.nth(place).scroll_into_view_if_needed()
    box = points.nth(place).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def go_back(page) -> None:
    """A browser's address may lag behind; only after a while is an old one taken for Back."""
    page.wait_for_timeout(3500)
    page.go_back()


def download(page, button, folder: Path) -> Path:
    """The file that a press of the button brings, in a folder."""
    with page.expect_download() as coming:
        button.click()
    file = folder / "file"
    coming.value.save_as(file)
    return file
