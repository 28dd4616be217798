"""What a page looks like to someone: is text legible, does anything stick out."""

from __future__ import annotations

from typing import Any

# Each visible text against the colours under it (WCAG 2); disabled controls are exempt there too.
_CONTRAST = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = color => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
  const luminance = color => {
    const [r, g, b] = color.map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parents = element => {
    const all = [];
    for (let e = element; e; e = e.parentElement) all.unshift(e);
    return all;
  };
  const poor = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || ['STYLE', 'SCRIPT', 'NOSCRIPT'].includes(element.tagName)) continue;
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (!box.width || !box.height || style.visibility === 'hidden') continue;
    if (element.closest(':disabled, [aria-disabled=true]')) continue;
    const line = parents(element);
    const opacity = line.reduce((product, e) => product * getComputedStyle(e).opacity, 1);
    if (!opacity) continue;
    const under = line.reduce((c, e) => over(rgba(getComputedStyle(e).backgroundColor), c), [255, 255, 255]);
    const color = rgba(element.closest('svg') ? style.fill : style.color);
    color[3] *= opacity;
    const [low, high] = [luminance(over(color, under)), luminance(under)].sort((x, y) => x - y);
    seen += 1;
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${text.slice(0, 50)}`);
  }
  return {seen, poor};
}
"""

_STICKING_OUT = """
() => [...document.querySelectorAll('.stMain *')]
  .filter(e => !e.closest('.js-plotly-plot, .katex') && e.getClientRects().length && e.scrollWidth >= 0)
  .filter(e => { const b = e.getBoundingClientRect(); return b.width && (b.right > innerWidth + 1 || b.left < -1); })
  .map(e => `${e.tagName} ${e.textContent.trim().slice(0, 40)}`).slice(0, 10)
"""

_CUT_LABELS = """
() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(plot => {
  const outer = plot.getBoundingClientRect();
  return [...plot.querySelectorAll('.main-svg text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.width && (box.left < outer.left - 1 || box.right > outer.right + 1
      || box.top < outer.top - 1 || box.bottom > outer.bottom + 1);
  }).map(text => text.textContent);
})
"""


def poor_contrast(page) -> list[str]:
    """Texts below 4.5 : 1, with their ratio."""
    page.wait_for_selector("[data-test-script-state=notRunning]", timeout=60_000)  # a busy machine is slow to draw
    found: dict[str, Any] = page.evaluate(_CONTRAST)
    assert found["seen"] > 20, "hardly any text was found on the page"
    return found["poor"]


def sticking_out(page) -> list[str]:
    """Elements that reach beyond the window's sides."""
    return page.evaluate(_STICKING_OUT)


def cut_labels(page) -> list[str]:
    """Texts that reach beyond their figure."""
    return page.evaluate(_CUT_LABELS)


def top_of(page, selector: str) -> float:
    """Where the first such element begins, in pixels from the top of the page."""
    box = page.locator(selector).first.bounding_box()
    assert box is not None, selector
    return box["y"]
