// How the report's page looks.
#pragma once

namespace boneage::eval {

inline constexpr const char* kPageStyle = R"css(
:root { --ink: #1b1f23; --soft: #59636e; --line: #d9dee3; --panel: #f6f8f9; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.5rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; font-weight: 650; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .6rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); font-weight: 650; }
h3 { font-size: 1rem; margin: 0 0 .2rem; font-weight: 650; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, figcaption, caption, .note { color: var(--soft); font-size: .9rem; }
.use { border-left: 4px solid #d55e00; background: #fdf5ef; padding: .5rem .9rem; margin: 1rem 0; max-width: none; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.facts li { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; }
.facts b { display: block; font-size: 1.55rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.facts span { color: var(--soft); font-size: .85rem; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: .6rem 0; }
caption { text-align: left; padding: .3rem 0; }
th, td { padding: .28rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { border-bottom: 2px solid #aab3bb; font-weight: 600; vertical-align: bottom; }
th[scope=row], th.text, td.text { text-align: left; font-weight: 400; }
td.wide { white-space: normal; text-align: left; min-width: 14rem; }
tr.total th, tr.total td { font-weight: 650; background: var(--panel); }
tr.first th, tr.first td { border-top: 2px solid #aab3bb; }
.matrix td { text-align: center; padding: .28rem .5rem; border: 1px solid #fff; min-width: 3rem; }
.published { background: #fbfaf6; }
th.published { white-space: normal; min-width: 7.5rem; }
figure { margin: 1.2rem 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); gap: 1rem 1.5rem; align-items: start; }
.plots figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: .8rem; }
.plots figure:first-child { grid-row: span 2; }
.plots svg { width: 100%; height: auto; display: block; }
.case { border: 1px solid var(--line); border-radius: 6px; padding: .8rem; margin: .8rem 0; break-inside: avoid; }
.stages { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .5rem; }
.stages figure { margin: 0; }
.stages img { display: block; background: #000; border-radius: 3px; }
.stages figcaption { font-size: .75rem; text-align: center; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--accent); }
ol.sources { font-size: .85rem; color: var(--soft); padding-left: 1.3rem; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .8rem; color: var(--soft); font-size: .85rem; }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } }
)css";

}  // namespace boneage::eval
