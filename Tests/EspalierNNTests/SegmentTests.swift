import EspalierNN
import EspalierTensor
import EspalierTesting
import Testing

/// Segments tell their keeper where a pass is, and computing one again changes nothing but memory.
@Suite struct SegmentTests {
  /// Writes down what it is told.
  final class Recorder: SegmentKeeper {
    var told: [String] = []
    func enter(_ segment: Int, _ direction: PassDirection) { told.append("enter \(segment) \(direction)") }
    func leave(_ segment: Int, _ direction: PassDirection, recording: Bool) {
      told.append("leave \(segment) \(direction)")
    }
  }

  /// A model of three segments with memory bound to it, each a product, a GELU and a dropout.
  final class Bench {
    struct Part: Layer {
      let linear: Linear
      let dropout: Dropout
      func callAsFunction(_ x: Tensor) -> Tensor { dropout(linear(x).gelu()) }
    }

    let segments: [Segment<Part>]
    let recorder = Recorder()
    let pool = Pool(poisons: true)
    private let parameters: [Parameter]
    private let memory: [(value: UnsafeMutableBufferPointer<Float>, gradient: UnsafeMutableBufferPointer<Float>)]

    init(recomputes: Bool) {
      let built = Scope.build { scope in
        (0..<3).map { index in
          scope.segment("\(index)") { scope in
            Part(
              linear: Linear(scope, from: .input("a", 6), to: .output("a", 6), bias: true),
              dropout: Dropout(scope, rate: 0.25))
          }
        }
      }
      segments = built.model
      parameters = built.parameters
      memory = built.parameters.map { parameter in
        let (value, gradient) = (
          UnsafeMutableBufferPointer<Float>.allocate(capacity: parameter.spec.count),
          UnsafeMutableBufferPointer<Float>.allocate(capacity: parameter.spec.count)
        )
        Initializer.normal(standardDeviation: 0.5).fill(
          0..<value.count, of: RandomKey(seed: 2).child(parameter.spec.name), into: value.baseAddress!)
        parameter.window.bind(value.baseAddress!)
        parameter.gradient?.window.bind(gradient.baseAddress!)
        return (value, gradient)
      }
      for handle in built.handles {
        handle.keeper = recorder
        handle.recomputes = recomputes
      }
    }

    deinit {
      for (value, gradient) in memory {
        value.deallocate()
        gradient.deallocate()
      }
    }

    /// Output and gradients of a pass over four samples.
    func pass(_ mode: Tape.Mode = .recording) -> (output: [Float], gradients: [[Float]], inputGradient: [Float]) {
      let tape = Tape(pool: pool, mode: mode, key: RandomKey(seed: 8), samples: [3, 1, 4, 15])
      let input = tape.variable(
        (0..<24).map { LaneReference.value(lane: 0, index: $0).remainder(dividingBy: 1) }, [4, 6])
      var x = input
      for segment in segments { x = segment(x) }
      let output = Array(UnsafeBufferPointer(start: x.pointer, count: x.count))
      guard mode == .recording else { return (output, [], []) }
      let seed = tape.constant((0..<24).map { Float($0) / 7 - 1 }, [4, 6])
      let gradient = tape.backward(from: x, seed: seed, wanting: [input])[0]
      let gradients = memory.map { Array($0.gradient) }
      for parameter in parameters { parameter.gradient?.isWritten = false }
      return (output, gradients, gradient.map { Array(UnsafeBufferPointer(start: $0.pointer, count: $0.count)) } ?? [])
    }
  }

  @Test("a keeper is told of every entry and exit, forwards in order and backwards in reverse")
  func order() {
    let bench = Bench(recomputes: false)
    _ = bench.pass()
    #expect(
      bench.recorder.told == (0..<3).flatMap { ["enter \($0) forward", "leave \($0) forward"] }
        + (0..<3).reversed().flatMap { ["enter \($0) backward", "leave \($0) backward"] })
    bench.recorder.told = []
    _ = bench.pass(.inference)
    #expect(bench.recorder.told == (0..<3).flatMap { ["enter \($0) forward", "leave \($0) forward"] })
  }

  @Test("computing segments again gives the same bits of output and gradients, dropout included")
  func recompute() {
    let kept = Bench(recomputes: false).pass(), again = Bench(recomputes: true).pass()
    #expect(bitDifference("output", again.output, kept.output) == nil)
    #expect(bitDifference("input's gradient", again.inputGradient, kept.inputGradient) == nil)
    for (index, (a, b)) in zip(again.gradients, kept.gradients).enumerated() {
      #expect(bitDifference("gradient \(index)", a, b) == nil)
    }
    #expect(kept.gradients.allSatisfy { $0.contains { $0 != 0 } })
  }

  @Test("dropout passes everything through in evaluation")
  func evaluation() {
    let bench = Bench(recomputes: false)
    let (trained, evaluated) = (bench.pass().output, bench.pass(.inference).output)
    #expect(trained.contains(0) && !evaluated.contains(0))
  }

  @Test("dropout of a sample does not depend on the batch around it")
  func dropoutBySample() {
    func output(_ samples: [UInt64]) -> [[Float]] {
      let pool = Pool(poisons: true)
      let tape = Tape(pool: pool, mode: .recording, key: RandomKey(seed: 8), samples: samples)
      var outputs: [[Float]] = []
      _ = Scope.build { scope in
        scope.segment("only") { scope in
          let dropout = Dropout(scope, rate: 0.5)
          let y = dropout(tape.constant(Array(repeating: 1, count: samples.count * 40), [samples.count, 40]))
          outputs = samples.indices.map { Array(UnsafeBufferPointer(start: y.pointer + 40 * $0, count: 40)) }
          return ScopeTests.Part(parameters: [])
        }
      }
      return outputs
    }
    let together = output([7, 8, 9])
    #expect(together == [7, 8, 9].flatMap { output([$0]) })
    #expect(together == output([9, 8, 7]).reversed() && together[0] != together[1])
  }
}
