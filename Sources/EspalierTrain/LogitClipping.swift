package import EspalierNN
import EspalierState
import EspalierTensor

/// QK-clip over all ranks: what the attentions of this rank noted in a step, and what follows from the largest of all ranks.
package struct LogitClipping {
  private let clips: [LogitClip]

  package init(_ clips: [LogitClip]) { self.clips = clips }

  /// All query heads of all attentions that are clipped.
  package var headCount: Int { clips.reduce(0) { $0 + $1.heads.count } }

  /// A step begins.
  func clear() { for clip in clips { clip.peaks.clear() } }

  /// The largest logits of this rank's lanes, head after head.
  var own: [Double] { clips.flatMap { $0.peaks.values.map(Double.init) } }

  /// The largest of all ranks, by head. A maximum has no order, so nobody can tell who computed which lane.
  static func largest(_ byRank: [[Double]]) -> [Double] {
    guard var result = byRank.first else { return [] }
    for peaks in byRank.dropFirst() {
      for (head, peak) in peaks.enumerated() { result[head] = max(result[head], peak) }
    }
    return result
  }

  /// What shrinks after a step in which the heads had such peaks.
  func scales(for peaks: [Double]) -> [RowScale] {
    var peaks = peaks[...]
    return clips.flatMap { clip in
      zip(clip.heads, peaks.take(clip.heads.count)).flatMap { head, peak in
        peak <= clip.limit
          ? []
          : head.map { RowScale($0.parameter, rows: $0.range, factor: Float($0.factor(clip.limit / peak))) }
      }
    }
  }

  /// How many heads are above their limit.
  func clipped(_ peaks: [Double]) -> Int {
    zip(clips.flatMap { clip in clip.heads.map { _ in clip.limit } }, peaks).count { $1 > $0 }
  }
}

extension ArraySlice {
  /// The first elements, which are then gone.
  fileprivate mutating func take(_ count: Int) -> ArraySlice {
    defer { removeFirst(count) }
    return prefix(count)
  }
}
