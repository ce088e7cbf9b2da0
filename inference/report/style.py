"""The style sheet of a page: the reader's own light or dark, and wide tables that scroll alone."""

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --soft: #5b5b5b; --line: #d8d8d8;
  --mark: #fdf0e3; --accent: #b34700; --link: #005a8f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e3; --paper: #16181b; --soft: #a6a6a6;
  --line: #3a3d42; --mark: #33261a; --accent: #ff9d57; --link: #7cc4f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; }
p, li, dd { overflow-wrap: anywhere; }
.verdict { font-size: 1.2rem; line-height: 1.45; border-left: .3rem solid var(--accent);
  padding: .1rem 0 .1rem .9rem; margin: 0 0 1rem; }
.light { border: 1px solid var(--line); border-left-width: .6rem; border-radius: .3rem;
  padding: .1rem .9rem; margin: 1rem 0; }
.light.green { border-left-color: #009e73; } .light.amber { border-left-color: #e69f00; }
.light.red { border-left-color: #d55e00; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th[scope=row], td.text { text-align: left; }
td.text { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }
thead th { color: var(--soft); font-weight: 600; }
tr.winner { background: var(--mark); } tr.winner th { color: var(--accent); }
td.share { background: color-mix(in srgb, var(--link) calc(var(--share) * 60%), transparent); }
figure { margin: 0 0 1.75rem; }
figure svg, figure img { display: block; width: 100%; height: auto; }
figure img { max-width: 34rem; }
img.paper { background: #fff; padding: .5rem; border-radius: .3rem; }
figcaption, details { color: var(--soft); font-size: .875rem; margin-top: .4rem; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0 0 .3rem 1rem; }
code { font-size: .8125rem; } a { color: var(--link); overflow-wrap: anywhere; }
summary { cursor: pointer; }
@media print { main { max-width: none; } details { display: none; } }
"""
