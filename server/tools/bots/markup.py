"""
Markup: HTML and SVG as trees, so that whatever a server or a player wrote is escaped because it is text.
"""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

#: C0 and C1 controls, which no document may hold, spelled out; not the white space among them.
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x09), 0x0B, *range(0x0D, 0x20), *range(0x7F, 0xA0))}

Child = Element | str | None


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """An element; children that are None are left out, and so are attributes. `text_anchor` names `text-anchor`, and
    `class_` names `class`."""
    made = Element(
        tag,
        {
            name.rstrip("_").replace("_", "-"): text(str(value))
            for name, value in attributes.items()
            if value is not None
        },
    )
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif child is not None:
            _write(made, text(child))
    return made


def text(words: str) -> str:
    return words.translate(_CONTROLS)


def document(root: Element) -> str:
    """The whole page. The content of `style` and `script` goes out as it is: only our own belongs there."""
    return "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"


def _write(into: Element, words: str) -> None:
    """Text stands before the first child, or behind one."""
    if len(into):
        into[-1].tail = (into[-1].tail or "") + words
    else:
        into.text = (into.text or "") + words
