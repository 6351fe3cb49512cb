import EspalierTensor

/// Times single operations, forward and backward, at the shapes of a decoder.
package enum KernelBenchmark {
  package struct Row: Codable, Sendable {
    package let operation: String
    package let shape: String
    /// Median of forward and backward together.
    package let milliseconds: Double
    /// Floating-point operations a second, 1e9; 0 where bytes are what counts.
    package let gigaflopsPerSecond: Double
    /// Bytes read and written a second, 1e9, each tensor counted once a pass; 0 where operations are what counts.
    package let gigabytesPerSecond: Double
  }

  /// The shapes of one block: `rows` tokens of `width`, in samples of `time`.
  package struct Shape: Sendable {
    package var batch = 8
    package var time = 256
    package var heads = 6
    package var headWidth = 64
    package var vocabulary = 256
    package init() {}
    var rows: Int { batch * time }
    var width: Int { heads * headWidth }
    var hidden: Int { ((8 * width + 2) / 3 + 63) / 64 * 64 }
  }

  /// On one thread.
  /// - Throws: `Kernels.LevelError` where ESPALIER_KERNELS names a level that this processor lacks.
  package static func run(_ shape: Shape, repeats: Int) throws -> [Row] {
    try Kernels.check()
    Kernels.threads = 1
    let (rows, width, hidden) = (shape.rows, shape.width, shape.hidden)
    let attention = AttentionShape(
      batch: shape.batch, time: shape.time, heads: shape.heads, keyValueHeads: shape.heads, headWidth: shape.headWidth)
    let pool = Pool()
    let tokens = Indices((0..<rows).map { Int32($0 * 7 % shape.vocabulary) }, shape: [shape.batch, shape.time])
    func linear(_ inputs: Int, _ outputs: Int) -> Case {
      Case("linear", [rows, inputs, outputs], flops: 6 * rows * inputs * outputs) { $0.linear($1[0]) }
        .reading([[outputs, inputs]])
    }
    func elementwise(_ name: String, _ columns: Int, _ body: @escaping (Tensor) -> Tensor) -> Case {
      Case(name, [rows, columns], bytes: 5 * 4 * rows * columns) { x, _ in body(x) }
    }
    let cases = [
      linear(width, 3 * width), linear(width, width), linear(width, 2 * hidden), linear(hidden, width),
      linear(width, shape.vocabulary),
      // Causal: half of the square; two products forward, five backward.
      Case(
        "attention", [rows, 3 * width],
        flops: 7 * shape.batch * shape.heads * shape.time * shape.time * shape.headWidth
      ) { x, _ in x.attention(attention, causal: true, scale: 0.125) },
      elementwise("rotary", 3 * width) { $0.rotary(attention, base: 10000) },
      Case("rmsNorm", [rows, width], bytes: 5 * 4 * rows * width) { $0.rmsNorm(gain: $1[0], epsilon: 1e-5) }
        .reading([[width]]),
      Case("layerNorm", [rows, width], bytes: 5 * 4 * rows * width) {
        $0.layerNorm(gain: $1[0], bias: $1[1], epsilon: 1e-5)
      }.reading([[width], [width]]),
      Case("swiGLU", [rows, 2 * hidden], bytes: 5 * 4 * rows * 2 * hidden) { x, _ in x.swiGLU() },
      elementwise("gelu tanh", hidden) { $0.gelu(.tanh) }, elementwise("gelu erf", hidden) { $0.gelu(.erf) },
      elementwise("add", width) { $0 + $0 },
      Case("cross-entropy", [rows, shape.vocabulary], bytes: 3 * 4 * rows * shape.vocabulary) { x, _ in
        x.crossEntropy(targets: tokens, ignored: -1, weight: rows).tensor
      },
    ]
    return cases.map { $0.measure(pool, repeats: repeats) }
  }
}

/// One operation with what it reads and how its work is counted.
private struct Case {
  let name: String
  let input: [Int]
  var weights: [[Int]] = []
  let flops: Int
  let bytes: Int
  let body: (Tensor, [Tensor]) -> Tensor

  init(_ name: String, _ input: [Int], flops: Int = 0, bytes: Int = 0, _ body: @escaping (Tensor, [Tensor]) -> Tensor) {
    self.name = name
    self.input = input.count == 3 ? Array(input.prefix(2)) : input
    self.flops = flops
    self.bytes = bytes
    self.body = body
  }

  func reading(_ weights: [[Int]]) -> Case {
    var copy = self
    copy.weights = weights
    return copy
  }

  func measure(_ pool: Pool, repeats: Int) -> KernelBenchmark.Row {
    func values(_ shape: Shape, _ stream: UInt64) -> [Float] {
      let key = RandomKey(seed: stream)
      return (0..<shape.count).map { Float(key.uniform(at: UInt64($0)) - 0.5) }
    }
    let shape = Shape(input)
    let x = values(shape, 1), weightValues = weights.map { values(Shape($0), 2) }
    var seconds: [Double] = []
    for repetition in -2..<repeats {
      let tape = Tape(pool: pool, mode: .recording)
      let input = tape.variable(x, shape), parameters = zip(weightValues, weights).map { tape.variable($0, Shape($1)) }
      let started = ReportClock.uptime()
      let output = body(input, parameters)
      let forward = ReportClock.uptime() - started
      let seed = tape.constant([Float](repeating: 1, count: output.count), output.shape)
      let resumed = ReportClock.uptime()
      _ = tape.backward(from: output, seed: seed, wanting: [input] + parameters)
      if repetition >= 0 { seconds.append(forward + ReportClock.uptime() - resumed) }
    }
    let median = seconds.sorted()[seconds.count / 2]
    let shapes = ([input] + weights).map { "\(Shape($0))" }.joined(separator: " ")
    return KernelBenchmark.Row(
      operation: name, shape: shapes, milliseconds: median * 1e3, gigaflopsPerSecond: Double(flops) / median / 1e9,
      gigabytesPerSecond: Double(bytes) / median / 1e9)
  }
}
