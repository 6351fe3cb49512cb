import EspalierNN
import EspalierState

/// A matrix that is orthogonalised by itself, inside a parameter: all of it, one of the parts that a fused axis declares, or a head.
struct MuonBlock: Hashable {
  /// Its first element in the flattened parameter.
  let start: Int
  let rows: Int
  let columns: Int
  /// From one row to the next.
  let stride: Int

  var count: Int { rows * columns }
  /// Elements with padding to 64 bytes.
  var room: Int { (count + 15) / 16 * 16 }
  /// Whether its rows lie behind each other.
  var isContiguous: Bool { columns == stride || rows == 1 }

  /// From its first element to its last, with what lies between.
  var span: Range<Int> { start..<start + (rows - 1) * stride + columns }

  /// What a stretch of the flattened parameter has of it, in pieces without gaps: the part of the whole block, or of its rows.
  func forEachStretch(in range: Range<Int>, _ body: (_ inParameter: Int, _ count: Int) -> Void) {
    if isContiguous {
      let part = span.clamped(to: range)
      if !part.isEmpty { body(part.lowerBound, part.count) }
      return
    }
    let first = max(0, (range.lowerBound - start) / stride)
    for row in first..<max(first, rows) {
      let left = start + row * stride
      if left >= range.upperBound { return }
      let part = (left..<left + columns).clamped(to: range)
      if !part.isEmpty { body(part.lowerBound, part.count) }
    }
  }

  /// Whether a gradient is not zero somewhere in the block, as far as a stretch has it.
  func hasGradient(in shard: ParameterShard) -> Bool {
    var found = false
    forEachStretch(in: shard.range) { start, count in
      let place = start - shard.range.lowerBound
      found = found || shard.gradient[place..<place + count].contains { $0 != 0 }
    }
    return found
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
