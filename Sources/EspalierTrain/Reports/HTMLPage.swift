/// One HTML file that needs no network, no script and no other file, in light and dark.
enum HTMLPage {
  /// - Parameters:
  ///   - title: as plain text; "Espalier" is put behind it.
  ///   - style: rules beyond those that all pages share.
  ///   - body: elements.
  static func document(title: String, style extra: String = "", _ body: [String]) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(Drawing.escaped(title)) · Espalier</title>
    <style>
    \(extra.isEmpty ? style : style + "\n" + extra)
    </style>
    </head>
    <body>
    \(body.joined(separator: "\n"))
    </body>
    </html>

    """
  }

  /// A sample of a picture, and what it stands for.
  /// - Parameter sample: within 34 by 12 pixels.
  static func legendEntry(_ sample: String, _ text: String) -> String {
    "<span><svg viewBox=\"0 0 34 12\" width=\"34\" height=\"12\" aria-hidden=\"true\">\(sample)</svg>\(Drawing.escaped(text))</span>"
  }

  /// A table that scrolls where the screen is narrow.
  /// - Parameter names: the columns that hold text, which stands left; numbers stand right.
  static func table(_ heading: [String], _ rows: [String], names: Set<Int>) -> String {
    let cells = heading.enumerated().map { column, text in
      "<th\(names.contains(column) ? " class=\"name\"" : "")>\(Drawing.escaped(text))</th>"
    }
    return """
      <div class="wide"><table>
      <thead><tr>\(cells.joined())</tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody>
      </table></div>
      """
  }

  /// - Parameter kind: a class of the row.
  static func row(_ texts: [String], names: Set<Int>, kind: String = "") -> String {
    let cells = texts.enumerated().map { column, text in
      "<td\(names.contains(column) ? " class=\"name\"" : "")>\(Drawing.escaped(text))</td>"
    }
    return "<tr\(kind.isEmpty ? "" : " class=\"\(kind)\"")>\(cells.joined())</tr>"
  }

  private static let style = """
    :root { color-scheme: light dark; --paper: #ffffff; --ink: #1c1f24; --soft: #5c6470; --grid: #e4e7eb; --frame: #8b93a0;
      --run0: #1f6fb4; --run1: #c2500a; --run2: #2a8a4f; --run3: #9a3fa0; --run4: #b0243a; --run5: #6b6b00; }
    @media (prefers-color-scheme: dark) {
      :root { --paper: #14171b; --ink: #e6e9ed; --soft: #a0a8b4; --grid: #2a2f36; --frame: #6d7684;
        --run0: #6cb4ee; --run1: #f0955a; --run2: #69cf92; --run3: #d58fdb; --run4: #f3808f; --run5: #cfcf5a; } }
    body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
      max-width: 920px; margin: 2rem auto; padding: 0 1rem; }
    h1 { font-size: 1.5rem; margin: 0 0 .6rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
    svg { width: 100%; height: auto; display: block; } .legend svg { width: 34px; display: inline-block; margin-right: .4rem; }
    .legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; color: var(--soft); font-size: .9rem; }
    .legend span { display: inline-flex; align-items: center; }
    text { fill: var(--soft); font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; } text.title { fill: var(--ink); }
    path { fill: none; } .grid { stroke: var(--grid); } .frame { stroke: var(--frame); }
    .border { stroke: var(--frame); stroke-dasharray: 1 4; }
    .run0 { --run: var(--run0); } .run1 { --run: var(--run1); } .run2 { --run: var(--run2); }
    .run3 { --run: var(--run3); } .run4 { --run: var(--run4); } .run5 { --run: var(--run5); }
    .curve { stroke: var(--run); stroke-width: 1.6; stroke-linejoin: round; }
    .point { fill: var(--paper); stroke: var(--run); stroke-width: 1.6; }
    .growth { stroke: var(--run); stroke-dasharray: 5 4; opacity: .75; } text.event { fill: var(--run); }
    .jump { stroke: var(--run); stroke-width: 4; opacity: .45; }
    .wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .88rem; margin-bottom: 1rem; }
    th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--grid); font-variant-numeric: tabular-nums; }
    th { color: var(--soft); font-weight: 600; } .name { text-align: left; } tr.sum td { font-weight: 600; }
    .note { color: var(--soft); font-size: .85rem; }
    """
}
