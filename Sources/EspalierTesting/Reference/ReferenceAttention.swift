#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension Reference {
  /// The sizes of a fused attention: rows are q | k | v, head after head.
  package struct AttentionSizes: Sendable {
    package let batch, time, heads, keyValueHeads, width: Int

    package init(batch: Int, time: Int, heads: Int, keyValueHeads: Int, width: Int) {
      self.batch = batch
      self.time = time
      self.heads = heads
      self.keyValueHeads = keyValueHeads
      self.width = width
    }

    package var fused: Int { (heads + 2 * keyValueHeads) * width }
  }

  /// softmax(scale · q kᵀ) v, one query after the other.
  package static func attention(_ x: [Double], _ sizes: AttentionSizes, causal: Bool, scale: Double) -> [Double] {
    var output: [Double] = []
    for sequence in 0..<sizes.batch {
      func element(_ t: Int, _ head: Int, _ i: Int) -> Double {
        x[(sequence * sizes.time + t) * sizes.fused + head * sizes.width + i]
      }
      for t in 0..<sizes.time {
        for head in 0..<sizes.heads {
          let key = sizes.heads + head / (sizes.heads / sizes.keyValueHeads)
          let value = key + sizes.keyValueHeads
          let seen = causal ? 0...t : 0...(sizes.time - 1)
          let logits = seen.map { u in
            scale * (0..<sizes.width).map { element(t, head, $0) * element(u, key, $0) }.reduce(0, +)
          }
          let top = logits.max() ?? 0
          let weights = logits.map { exp($0 - top) }
          let total = weights.reduce(0, +)
          for i in 0..<sizes.width {
            output.append(seen.map { weights[$0] * element($0, value, i) }.reduce(0, +) / total)
          }
        }
      }
    }
    return output
  }

  /// Rotate-half positions on queries and keys; values are copied.
  package static func rotary(_ x: [Double], _ sizes: AttentionSizes, base: Double, firstPosition: Int) -> [Double] {
    var output = x
    let half = sizes.width / 2
    for row in 0..<sizes.batch * sizes.time {
      for head in 0..<sizes.heads + sizes.keyValueHeads {
        for i in 0..<half {
          let angle = Double(firstPosition + row % sizes.time) * pow(base, -2 * Double(i) / Double(sizes.width))
          let a = row * sizes.fused + head * sizes.width + i
          output[a] = x[a] * cos(angle) - x[a + half] * sin(angle)
          output[a + half] = x[a + half] * cos(angle) + x[a] * sin(angle)
        }
      }
    }
    return output
  }
}
