"""How the documentation is built: `make docs`, without a network and without a warning."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

import netsynth

project = "netsynth"
author = "The netsynth authors"
copyright = f"2026, {author}"
version = release = netsynth.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
nitpicky = False

html_theme = "furo"
html_title = f"netsynth {version}"
html_math_renderer = "mathml"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

add_module_names = False
autodoc_member_order = "bysource"
python_display_short_literal_types = True
autodoc_type_aliases = {"npt.ArrayLike": "ArrayLike", "FloatArray": "FloatArray", "IntArray": "IntArray"}
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_param = False  # else "k" in "shape (k,)" becomes a link to some attribute k
napoleon_custom_sections = [("Attributes", "params_style")]  # likewise
napoleon_use_rtype = False

#: What latex2mathml does not know or shows poorly, in words that it knows.
TEX = {
    r"\\(begin|end)\{aligned\}": r"\\\1{split}",
    r"\\[bB]igg?l\b": r"\\left",
    r"\\[bB]igg?r\b": r"\\right",
    r"\\lvert\b": r"\\left|",
    r"\\rvert\b": r"\\right|",
}
#: Likewise of what comes out: the sign for "is distributed as", bars beside each other, thin spaces around ln.
MATHML = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    '<mo stretchy="false">&#x0007C;</mo>': "<mi>|</mi>",
    r"(</m(?:i|n|sub|frac)>)(?=<mi>(?:ln|log|exp)</mi>)": r'\1<mspace width="0.167em" />',
    r"(<mi>(?:ln|log|exp|arcsin)</mi>)(?!<mo|</)": r'\1<mspace width="0.167em" />',
}


def mathml(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers show by themselves: see decisions/0007."""
    tex, block = node.astext(), isinstance(node, nodes.math_block)
    if block and r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    try:
        for known, other in TEX.items():
            tex = re.sub(known, other, tex)
        formula = convert(tex, display="block" if block else "inline")
        for known, other in MATHML.items():
            formula = re.sub(known, other, formula)
        left_over = re.search(r">[^<]*?(\\\w*|\$|&(?!#|lt;|gt;|amp;))", formula)
        problem = f"{left_over[1]} is not known" if left_over else ""
    except Exception as error:  # the exceptions of latex2mathml share no base
        formula, problem = "", f"{type(error).__name__}: {error}"
    if problem:
        message = f"a formula that cannot be shown: {problem}: {tex}"
        logging.getLogger(__name__).warning(message, location=node)
    if block:
        number = f'<span class="eqno">({node["number"]})</span>' if node.get("number") else ""
        formula = f"{translator.starttag(node, 'div', CLASS='math')}{number}{formula}</div>"
    translator.body.append(formula)
    raise nodes.SkipNode


def tidy_docstring(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Turn numpydoc's footnotes, which are numbered in each docstring anew, into a plain numbered list."""
    lines[:] = [re.sub(r"\[(\d+)\]_", r"[\1]", re.sub(r"^\.\. \[(\d+)\]", r"\1.", line)) for line in lines]


def tidy_signature(
    _app: Sphinx,
    what: str,
    name: str,
    _obj: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Leave out how a result is made, for verbs make them, and show an alias by its name."""
    if what == "class" and name.startswith("netsynth.results."):
        return "", None
    alias = r"TypeAliasForwardRef\('(\w+)'\)"
    return signature and re.sub(alias, r"\1", signature), returns and re.sub(alias, r"\1", returns)


def skip_member(
    _app: Sphinx, _what: str, _name: str, obj: object, _skip: bool, _options: object
) -> bool | None:
    """Leave out the fields of a named tuple: all that Python says of them is their position."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
    app.connect("autodoc-process-docstring", tidy_docstring)
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("autodoc-skip-member", skip_member)
