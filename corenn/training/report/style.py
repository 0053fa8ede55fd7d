"""The style sheet of a report: light and dark as the reader prefers, legible in print."""

LIGHT = ("#1d5fa8", "#c2410c", "#2f7d32", "#8a3bb0", "#946200", "#0b7a82", "#b3225f", "#59636f")
DARK = ("#74b3ff", "#ff9a6b", "#86d489", "#d9a6f2", "#f0bd62", "#63d3da", "#ff8fb8", "#b7c1cc")

_LIGHT = {
    "background": "#ffffff", "foreground": "#1b1f24", "soft": "#57606a", "line": "#d6dbe1", "card": "#f6f8fa",
    "mark": "#fff3cd", "good": "29 95 168", "bad": "192 57 43", "problem": "#b3261e",
}  # fmt: skip
_DARK = {
    "background": "#14171c", "foreground": "#e6e9ee", "soft": "#a5aeb9", "line": "#343b45", "card": "#1c2128",
    "mark": "#4a3c10", "good": "58 120 200", "bad": "200 75 62", "problem": "#ff8a80",
}  # fmt: skip


def _declared(variables: dict[str, str], colours: tuple[str, ...]) -> str:
    every = variables | {f"c{i}": colour for i, colour in enumerate(colours)}
    return ";".join(f"--{name}:{value}" for name, value in every.items())


_RULES = """
*{box-sizing:border-box}
body{margin:0;background:var(--background);color:var(--foreground);font:15px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1180px;margin:0 auto;padding:1.5rem 1.25rem 4rem}
h1{font-size:1.55rem;margin:.2rem 0 .1rem}
h2{font-size:1.2rem;margin:2.4rem 0 .7rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:0 0 .3rem;font-weight:600}
p{margin:.3rem 0}
.soft,figcaption,caption{color:var(--soft)}
.skip{position:absolute;left:-999px}
.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;padding-bottom:.4rem}
th,td{padding:.32rem .75rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
thead th{font-weight:600;border-bottom:2px solid var(--line);white-space:nowrap}
tbody th{font-weight:500}
td.number,th.number{text-align:right;white-space:nowrap}
.upright td,.upright thead th+th{text-align:right}
td.best{font-weight:700}
tr.differs td,tr.differs th{background:var(--mark)}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.badge{display:inline-block;min-width:1.6em;padding:0 .4em;border-radius:.3em;text-align:center;font-weight:700;
color:var(--background);margin-right:.5em}
.grid-of-charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:1rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem;margin:0;min-width:0}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;padding:0;margin:.2rem 0 1rem}
.swatch{display:inline-block;width:1.7em;border-top:3px solid;vertical-align:middle;margin-right:.5em}
.swatch.dashed{border-top:2px dashed}
svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Arial,sans-serif}
svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--soft);stroke-width:1}
svg .tick{fill:var(--soft)}
svg .series path{fill:none;stroke:currentColor;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}
svg .series.dashed path{stroke-width:1.5;stroke-dasharray:5 4}
svg .series circle{fill:currentColor}
svg .series:hover path{stroke-width:3.4}
svg .end{fill:currentColor;font-weight:700;stroke:var(--card);stroke-width:3px;paint-order:stroke}
details{margin:.5rem 0}
summary{cursor:pointer;color:var(--soft)}
.pictures{display:flex;flex-wrap:wrap;gap:1rem;margin-bottom:1.4rem}
.pictures figure{max-width:100%}
.pictures.many figure{max-width:min(100%,36rem)}
.pictures img{display:block;max-width:100%;height:auto;background:#fff;border-radius:.3rem}
figcaption{margin-bottom:.5rem}
.matrix td{width:2.5em;min-width:2.5em;padding:.3rem .35rem;text-align:center;border:1px solid var(--line)}
.matrix thead td{border:0}
.matrix th{padding:.3rem .5rem;border:0;text-align:center}
.matrix tbody th{text-align:right}
.matrix .right{background:rgb(var(--good)/var(--share))}
.matrix .wrong{background:rgb(var(--bad)/var(--share))}
.matrix .strong{color:#fff}
@media(max-width:480px){.matrix td{width:1.9em;min-width:1.9em;padding:.3rem 0;font-size:.8em}
.matrix th,.matrix tbody th{padding:.3rem .2rem;font-size:.8em}}
.problem{color:var(--problem)}
.empty{color:var(--soft);font-style:italic}
@media print{body{font-size:12px}.card,tr,figure{break-inside:avoid}}
"""


def style_sheet() -> str:
    """The rules, with a class ``c0`` ... for the colour of each run."""
    colours = "".join(f".c{i}{{color:var(--c{i})}}.badge.c{i}{{background:var(--c{i});color:var(--background)}}"
                      for i in range(len(LIGHT)))  # fmt: skip
    light, dark = _declared(_LIGHT, LIGHT), _declared(_DARK, DARK)
    rules = _RULES.replace("\n", "")
    return (
        f":root{{color-scheme:light dark;{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{rules}{colours}"
    )


__all__ = ["style_sheet"]
