"""Formulas as MathML, which browsers draw themselves: no script, no font and no network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from docutils import nodes
from latex2mathml.converter import convert

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Spaces that TeX sets by itself.
RULES: Final = (
    # A minus after an operator is a sign, unless that closes a bracket.
    (r"(?<=</mo>)(?<!&#x00029;</mo>)(?<!]</mo>)<mo>&#x02212;</mo>", '<mo form="prefix">&#x02212;</mo>'),
    # A thin space between the name of a function and its neighbours.
    (r"(<mi>(?:log|exp|sin|cos)</mi>)(?=<m(?!o|space))", r'\1<mspace width="0.17em"/>'),
    (
        r"(</m(?:i|n|frac|sub|sup|subsup|row|sqrt)>)(?=<mi>(?:log|exp|sin|cos)</mi>)",
        r'\1<mspace width="0.17em"/>',
    ),
    # No space inside bars; those of a norm keep their size.
    (r"<mo[^>]*>(&#x0(?:007C|2016);)</mo>", r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>'),
    # A relation, not a letter.
    (r"<mi>&#x0007E;</mi>", '<mo lspace="0.28em" rspace="0.28em">&#x0223C;</mo>'),
)


def mathml(formula: str, display: str) -> str:
    """Return a formula of LaTeX as MathML."""
    written = convert(formula, display=display)
    for pattern, replacement in RULES:
        written = re.sub(pattern, replacement, written)
    return written


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    attributes = {"ids": node["ids"]} if node["ids"] else {}
    translator.body.append(translator.starttag(node, "div", CLASS="math", **attributes))
    translator.body.append(mathml(node.astext(), "block"))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
