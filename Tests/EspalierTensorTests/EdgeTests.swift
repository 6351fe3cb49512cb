import EspalierTensor
import EspalierTesting
import Testing

private func every(_ values: some Sequence<Float>, _ property: KeyPath<Float, Bool>) -> Bool {
  values.allSatisfy { $0[keyPath: property] }
}

/// What operations do at their edges: nothing to compute, nothing finite, nothing allowed.
@Suite struct EdgeTests {
  private func gradients(
    of inputs: [([Float], Shape)], _ operation: ([Tensor]) -> Tensor
  ) -> (output: [Float], gradients: [[Float]]) {
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let variables = inputs.map { tape.variable($0.0, $0.1) }
    let output = operation(variables)
    let seed = tape.constant([Float](repeating: 1, count: output.count), output.shape)
    return (output.values, tape.backward(from: output, seed: seed, wanting: variables).map { $0?.values ?? [] })
  }

  @Test func `weights that saw no rows have gradient zero`() {
    let zeros = [Float](repeating: 0, count: 6)
    let linear = gradients(of: [([], [0, 3]), (zeros.map { $0 + 1 }, [2, 3]), ([1, 1], [2])]) {
      $0[0].linear($0[1], bias: $0[2])
    }
    #expect(linear.gradients == [[], zeros, [0, 0]])
    let norm = gradients(of: [([], [0, 3]), ([1, 1, 1], [3]), ([1, 1, 1], [3])]) {
      $0[0].layerNorm(gain: $0[1], bias: $0[2], epsilon: 1e-5)
    }
    #expect(norm.gradients == [[], [0, 0, 0], [0, 0, 0]])
    let table = gradients(of: [(zeros, [2, 3])]) { $0[0].embedding(of: Indices([], shape: [0])) }
    #expect(table.gradients == [zeros])
  }

  @Test func `a linear map without inputs gives its bias`() {
    let linear = gradients(of: [([], [2, 0]), ([], [3, 0]), ([1, 2, 3], [3])]) { $0[0].linear($0[1], bias: $0[2]) }
    #expect(linear.output == [1, 2, 3, 1, 2, 3])
    #expect(linear.gradients == [[], [], [2, 2, 2]])
  }

  @Test func `a NaN in one row stays in that row`() {
    var x: [Float] = (0..<12).map { Float($0) * 0.25 - 1 }
    x[5] = .nan
    let gain: [Float] = [1, 1, 1, 1]
    for operation in [
      { $0[0].rmsNorm(gain: $0[1], epsilon: 1e-5) }, { $0[0].layerNorm(gain: $0[1], bias: nil, epsilon: 1e-5) },
    ] as [([Tensor]) -> Tensor] {
      let result = gradients(of: [(x, [3, 4]), (gain, [4])], operation)
      for values in [result.output, result.gradients[0]] {
        #expect(every(values[4..<8], \.isNaN))
        #expect(every(values[..<4], \.isFinite) && every(values[8...], \.isFinite))
      }
      #expect(every(result.gradients[1], \.isNaN))
    }
  }

  @Test func `a NaN query makes its row of an attention NaN and no other`() {
    let shape = AttentionShape(batch: 2, time: 3, heads: 1, keyValueHeads: 1, headWidth: 2)
    var x = (0..<36).map { Float($0 % 5) * 0.3 }
    x[6] = .nan  // the query of the second row
    let result = gradients(of: [(x, [6, 6])]) { $0[0].attention(shape, causal: true, scale: 1) }
    #expect(every(result.output[2..<4], \.isNaN))
    #expect(every(result.output[..<2], \.isFinite) && every(result.output[4...], \.isFinite))
    #expect(!every(result.gradients[0][..<18], \.isFinite))
    #expect(every(result.gradients[0][18...], \.isFinite))
  }

  @Test func `a NaN in a later sequence position does not reach earlier blocks of queries`() {
    let shape = AttentionShape(batch: 1, time: 130, heads: 1, keyValueHeads: 1, headWidth: 2)
    var x = (0..<130 * 6).map { Float($0 % 5) * 0.3 }
    x[129 * 6 + 4] = .nan  // the last value
    let result = gradients(of: [(x, [130, 6])]) { $0[0].attention(shape, causal: true, scale: 1) }
    #expect(every(result.output[..<256], \.isFinite))
    #expect(result.output[258].isNaN)
  }

  @Test func `large logits do not overflow an attention`() {
    let shape = AttentionShape(batch: 1, time: 2, heads: 1, keyValueHeads: 1, headWidth: 1)
    let result = gradients(of: [([1, 1, 5, 1000, 1000, 7], [2, 3])]) { $0[0].attention(shape, causal: true, scale: 1) }
    #expect(result.output == [5, 7])
    #expect(every(result.gradients[0], \.isFinite))
  }

  private func loss(
    _ logits: [Float], _ targets: [Int32], weight: Int
  ) -> (term: LossTerm, gradient: [Float]) {
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let x = tape.variable(logits, [targets.count, targets.isEmpty ? 3 : logits.count / targets.count])
    let term = x.crossEntropy(targets: Indices(targets, shape: [targets.count]), ignored: -1, weight: weight)
    let gradient = tape.backward(from: term.tensor, seed: tape.constant([1], []), wanting: [x])[0]
    return (term, gradient?.values ?? [])
  }

  @Test func `a loss whose targets are all ignored is zero, with gradient zero`() {
    for weight in [0, 5] {
      let (term, gradient) = loss([1, .nan, 3, 4, .infinity, 6], [-1, -1], weight: weight)
      #expect(term.tensor.value == 0 && term.sum == 0 && term.weight == 0 && term.correct == 0)
      #expect(gradient == [0, 0, 0, 0, 0, 0])
    }
    let (empty, gradient) = loss([], [], weight: 4)
    #expect(empty.tensor.value == 0 && empty.sum == 0 && gradient.isEmpty)
  }

  @Test func `a loss counts its targets and the right ones, first of equals`() {
    let (term, _) = loss([1, 2, 3, 3, 3, 1, 3, 3, 1, 0, 0, 9], [2, 0, 1, -1], weight: 3)
    #expect(term.weight == 3)
    #expect(term.correct == 2)
  }

  @Test func `an impossible class has probability zero and costs infinitely much as a target`() {
    let possible = loss([0, -.infinity, 0], [0], weight: 1)
    #expect(abs(possible.term.sum - 0.6931471805599453) < 1e-7)
    #expect(possible.gradient == [-0.5, 0, 0.5])
    #expect(loss([0, -.infinity, 0], [1], weight: 1).term.sum == .infinity)
  }

  @Test func `NaN and infinite logits make the loss NaN, and only their row's gradient`() {
    for bad in [Float.nan, .infinity] {
      let (term, gradient) = loss([1, 2, 3, 1, bad, 3], [0, 1], weight: 2)
      #expect(term.tensor.value.isNaN && term.sum.isNaN)
      #expect(every(gradient[..<3], \.isFinite) && every(gradient[3...], \.isNaN))
      #expect(term.correct == 0)
    }
  }

  @Test func `large logits lose nothing`() {
    let (term, gradient) = loss([1e30, -1e30, 0], [0], weight: 1)
    #expect(term.sum == 0 && gradient == [0, 0, 0])
  }

  @Test func `the loss's gradient is scaled by what comes from above`() {
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let x = tape.variable([0, 0], [1, 2])
    let term = x.crossEntropy(targets: Indices([1], shape: [1]), ignored: -1, weight: 1)
    let scaled = term.tensor.scaled(by: 3)
    #expect(tape.backward(from: scaled, seed: tape.constant([1], []), wanting: [x])[0]?.values == [1.5, -1.5])
  }

  @Test func `an index outside the table stops the process with its value`() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let tape = Tape(pool: Pool(), mode: .inference)
      _ = tape.constant([1, 2], [2, 1]).embedding(of: Indices([0, 2], shape: [2]))
    }
    let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
    #expect(text.contains("index 2 at 1 is outside a table of 2 rows"))
  }

  @Test func `a target outside the classes stops the process with its value`() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let tape = Tape(pool: Pool(), mode: .inference)
      _ = tape.constant([1, 2], [1, 2]).crossEntropy(targets: Indices([-7], shape: [1]), ignored: -1, weight: 1)
    }
    let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
    #expect(text.contains("target -7 at 0 is outside 2 classes"))
  }

  @Test func `sums over many rows are accurate`() {
    // 40,000 rows of 0.1 and one gain: a plain float sum is off in the fourth digit.
    let count = 40_000
    let linear = gradients(of: [([Float](repeating: 0.1, count: count), [count, 1]), ([1], [1, 1]), ([0], [1])]) {
      $0[0].linear($0[1], bias: $0[2]).scaled(by: 0.1)
    }
    #expect(abs(linear.gradients[2][0] / 4000 - 1) < 1e-6)
  }
}
