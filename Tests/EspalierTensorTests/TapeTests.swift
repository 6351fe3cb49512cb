import EspalierTensor
import EspalierTesting
import Testing

/// The tape, its pool and its windows.
@Suite struct TapeTests {
  @Test func `markers fire in reverse order, each when all that was recorded after it is done`() {
    let tape = Tape(pool: Pool(), mode: .recording)
    var events: [String] = []
    func noted(_ name: String, _ x: Tensor) -> Tensor {
      let place = x
      return tape.record(x.storage, x.shape, inputs: [x]) { dy, gradients in
        events.append(name)
        gradients.pass(dy, to: place)
      }
    }
    let x = tape.variable([1], [1])
    tape.mark { events.append("start") }
    let y = noted("first", x)
    tape.mark { events.append("middle") }
    let z = noted("second", y)
    tape.mark { events.append("end") }
    tape.backward(from: z)
    #expect(events == ["end", "second", "middle", "first", "start"])
  }

  @Test func `a pullback whose result nobody used does not run`() {
    let tape = Tape(pool: Pool(), mode: .recording)
    let x = tape.variable([1, 2], [2])
    var ran = false
    _ = tape.record(x.storage, x.shape, inputs: [x]) { _, _ in ran = true }
    let y = x.scaled(by: 2)
    let gradients = tape.backward(from: y, seed: tape.constant([1, 1], [2]), wanting: [x])
    #expect(!ran)
    #expect(gradients[0]?.values == [2, 2])
  }

  @Test func `a variable that nothing depends on has no gradient`() {
    let tape = Tape(pool: Pool(), mode: .recording)
    let (x, y) = (tape.variable([1], [1]), tape.variable([1], [1]))
    let gradients = tape.backward(from: x.scaled(by: 2), seed: tape.constant([3], [1]), wanting: [x, y])
    #expect(gradients[0]?.values == [6])
    #expect(gradients[1] == nil)
  }

  @Test func `a tape for inference keeps no nodes`() {
    let tape = Tape(pool: Pool(), mode: .inference)
    tape.mark {}
    let x = tape.variable([1, 2], [1, 2])
    #expect((x + x).gelu().linear(tape.variable([1, 1], [1, 2])).node == nil)
    #expect(tape.nodeCount == 0)
  }

  @Test func `operations on constants keep no nodes`() {
    let tape = Tape(pool: Pool(), mode: .recording)
    #expect(tape.constant([1, 2], [1, 2]).silu().node == nil)
    #expect(tape.nodeCount == 0)
  }

  @Test func `a gradient that two inputs share is not written through`() {
    // a + b hands one buffer to both; adding to a's must leave b's as it was.
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let (a, b) = (tape.variable([1, 2], [2]), tape.variable([3, 4], [2]))
    let y = a.scaled(by: 10) + (a + b)
    let gradients = tape.backward(from: y, seed: tape.constant([1, 2], [2]), wanting: [a, b])
    #expect(gradients[0]?.values == [11, 22])
    #expect(gradients[1]?.values == [1, 2])
  }

  @Test func `asks the system for nothing after the first step`() {
    let pool = Pool()
    var counts: [Int] = []
    var inUse: [Int] = []
    for _ in 0..<20 {
      step(pool)
      counts.append(pool.statistics.systemAllocations)
      inUse.append(pool.statistics.bytesInUse)
    }
    #expect(counts[0] > 0)
    #expect(Set(counts).count == 1, "\(counts)")
    #expect(Set(inUse) == [0], "\(inUse)")
  }

  /// A small transformer block, forward and backward.
  private func step(_ pool: Pool) {
    let tape = Tape(pool: pool, mode: .recording, samples: [4, 9])
    func weight(_ rows: Int, _ columns: Int) -> Tensor {
      tape.variable((0..<rows * columns).map { Float($0 % 7) * 0.1 - 0.3 }, [rows, columns])
    }
    let shape = AttentionShape(batch: 2, time: 9, heads: 2, keyValueHeads: 1, headWidth: 4)
    let x = weight(5, 8).embedding(of: Indices((0..<18).map { $0 % 5 }, shape: [18]))
    let normed = x.rmsNorm(gain: weight(1, 8).reshaped([8]), epsilon: 1e-5)
    let attended = normed.linear(weight(16, 8)).rotary(shape, base: 100).attention(shape, causal: true, scale: 0.5)
    let middle = (x + attended.linear(weight(8, 8))).dropout(0.1, key: tape.key)
    let up = middle.layerNorm(gain: weight(1, 8), bias: nil, epsilon: 1e-5).linear(weight(12, 8)).swiGLU()
    let logits = (middle + up.linear(weight(8, 6))).linear(weight(5, 8))
    let loss = logits.crossEntropy(targets: Indices((0..<18).map { $0 % 5 }, shape: [18]), ignored: -1, weight: 18)
    tape.backward(from: loss.tensor)
  }

  @Test func `memory of values that no pullback reads is free before the sweep`() {
    let pool = Pool()
    let tape = Tape(pool: pool, mode: .recording)
    let x = tape.variable([Float](repeating: 1, count: 1024), [1024])
    var y = x
    for _ in 0..<10 { y = y.scaled(by: 2) }
    #expect(pool.statistics.bytesInUse == 2 * 4096)
    tape.clear()
  }

  @Test func `touching a released window stops the process`() async {
    await #expect(processExitsWith: .failure) {
      let pool = Pool()
      let memory = pool.storage(count: 4)
      let window = Storage(windowNamed: "blocks.3.up.weight", count: 4)
      let tape = Tape(pool: pool, mode: .recording)
      window.bind(memory.pointer)
      let weight = tape.leaf(window, [2, 2], target: nil)
      _ = weight.values
      window.unbind()
      _ = tape.constant([1, 1], [1, 2]).linear(weight)
    }
  }

  @Test func `a released window is named`() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Storage(windowNamed: "blocks.3.up.weight", count: 4).pointer
    }
    let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
    #expect(text.contains("'blocks.3.up.weight' was read while its segment was released"))
  }

  @Test func `a window that is bound again before the sweep serves the pullback`() {
    let pool = Pool(poisons: true)
    let (first, second) = (pool.storage(count: 2), pool.storage(count: 2))
    first.pointer.update(from: [2, 3], count: 2)
    second.pointer.update(from: [2, 3], count: 2)
    let window = Storage(windowNamed: "weight", count: 2)
    window.bind(first.pointer)
    let tape = Tape(pool: pool, mode: .recording)
    let x = tape.variable([1, 1], [1, 2])
    let y = x.linear(tape.leaf(window, [1, 2], target: nil))
    window.unbind()
    Pool.poison(first.pointer, count: 2)
    tape.mark { window.bind(second.pointer) }
    let gradients = tape.backward(from: y, seed: tape.constant([1], [1, 1]), wanting: [x])
    #expect(gradients[0]?.values == [2, 3])
  }

  @Test func `tensors of two tapes do not mix`() async {
    await #expect(processExitsWith: .failure) {
      let (left, right) = (Tape(pool: Pool(), mode: .recording), Tape(pool: Pool(), mode: .recording))
      _ = left.constant([1], [1]) + right.constant([1], [1])
    }
  }
}
