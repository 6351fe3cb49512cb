import EspalierNN

/// A matrix that is orthogonalised by itself, inside a parameter: all of it, one of the parts that a fused axis declares, or a head.
struct MuonBlock: Hashable {
  /// Its first element in the flattened parameter.
  let start: Int
  let rows: Int
  let columns: Int
  /// From one row to the next.
  let stride: Int

  var count: Int { rows * columns }

  /// Stretches of memory without gaps: the whole block, or its rows.
  func forEachStretch(_ body: (_ inParameter: Int, _ inBlock: Int, _ count: Int) -> Void) {
    if columns == stride { return body(start, 0, count) }
    for row in 0..<rows { body(start + row * stride, row * columns, columns) }
  }
}

extension Muon {
  /// Where an axis is cut into blocks.
  public enum Split: String, Codable, Sendable, CaseIterable {
    /// By the parts that a fused axis declares: query, key, value; gate, up.
    case parts
    /// By heads, and parts without heads as they are.
    case heads
    /// Not at all.
    case none

    func counts(_ axis: Axis) -> [Int] {
      switch self {
      case .none: [axis.count]
      case .parts: axis.parts.map(\.count)
      case .heads:
        axis.parts.flatMap { part in
          part.block > 1 ? Array(repeating: part.block, count: part.count / part.block) : [part.count]
        }
      }
    }
  }

  /// The blocks of a parameter of at least two axes, in the order of its elements; axes before the last two count a stack.
  func blocks(of spec: ParameterSpec) -> [MuonBlock] {
    let axes = spec.axes.suffix(2), stride = axes[axes.endIndex - 1].count
    let matrix = axes[axes.startIndex].count * stride
    let rows = options.split.counts(axes[axes.startIndex]), columns = options.split.counts(axes[axes.endIndex - 1])
    var blocks: [MuonBlock] = []
    for layer in 0..<spec.axes.dropLast(2).reduce(1, { $0 * $1.count }) {
      var top = 0
      for height in rows {
        var left = 0
        for width in columns {
          blocks.append(
            MuonBlock(start: layer * matrix + top * stride + left, rows: height, columns: width, stride: stride))
          left += width
        }
        top += height
      }
    }
    return blocks
  }
}
