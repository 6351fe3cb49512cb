import CKernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What a table of rotary positions depends on.
struct RotaryTable: Hashable {
  let time, headWidth, firstPosition: Int
  let base: Float

  /// [time, headWidth] = cosines | sines of position · base^(-2i / headWidth), computed in double.
  func values() -> [Float] {
    let half = headWidth / 2
    let frequencies = (0..<half).map { pow(Double(base), -2 * Double($0) / Double(headWidth)) }
    var table = [Float](repeating: 0, count: time * headWidth)
    for t in 0..<time {
      for (i, frequency) in frequencies.enumerated() {
        let angle = Double(firstPosition + t) * frequency
        table[t * headWidth + i] = Float(cos(angle))
        table[t * headWidth + half + i] = Float(sin(angle))
      }
    }
    return table
  }
}

extension Pool {
  func table(_ key: RotaryTable) -> [Float] {
    if let table = rotaryTables[key] { return table }
    if rotaryTables.count >= 64 { rotaryTables = [:] }  // a sampler asks for a new position at every token
    let table = key.values()
    rotaryTables[key] = table
    return table
  }
}

extension Tensor {
  /// Rotary positions on the queries and keys of fused rows: the pair (i, i + headWidth/2) of every head turns by
  /// position · base^(-2i / headWidth); values are copied.
  ///
  /// Rows are q | k | v as `AttentionShape` says, [batch·time, fusedWidth] → the same shape.
  /// - Su, Lu, Pan, Murtadha, Wen, Liu: RoFormer, 2021, arXiv:2104.09864; the pairing is "rotate-half", as in GPT-NeoX.
  /// - Precondition: the shape fits; `headWidth` is even.
  public func rotary(_ shape: AttentionShape, base: Float, firstPosition: Int = 0) -> Tensor {
    shape.check(self)
    precondition(shape.headWidth % 2 == 0, "a head of width \(shape.headWidth) has no pairs to rotate")
    let table = tape.pool.table(
      RotaryTable(time: shape.time, headWidth: shape.headWidth, firstPosition: firstPosition, base: base))
    func rotate(_ x: Tensor, _ direction: Float, _ beta: Float, _ destination: UnsafeMutablePointer<Float>) {
      ck_rotary(
        x.pointer, table, shape.batch, shape.time, shape.heads + shape.keyValueHeads, shape.headWidth, shape.fusedWidth,
        direction, beta, destination)
    }
    let output = tape.pool.storage(count: count)
    rotate(self, 1, 0, output.pointer)
    let x = place
    return tape.record(output, self.shape, inputs: [self]) { dy, gradients in
      gradients.add(to: x) { rotate(dy, -1, $1, $0) }
    }
  }
}
