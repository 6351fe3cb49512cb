import EspalierTensor
import EspalierTesting
import Synchronization
import Testing

/// What holds for every operation at every shape.
@Suite struct OperationTests {
  private let tolerance = Tolerance(absolute: 3e-6, relative: 3e-6)

  /// Weights of the outputs in the scalar that is differentiated.
  private func seed(_ count: Int) -> [Float] {
    (0..<count).map { Float(RandomKey(seed: 3).uniform(at: UInt64($0)) * 2 - 1) }
  }

  /// The truth for every case, computed once for all tests.
  private static let truths = Mutex<[String: [[Double]]]>([:])

  private func expectedGradients(_ operation: OperationCase) -> [[Double]] {
    if let known = Self.truths.withLock({ $0[operation.testDescription] }) { return known }
    let truth = centralDifferences(at: operation.inputs.map { $0.map(Double.init) }) { inputs in
      let output = operation.reference(inputs)
      return zip(output, seed(output.count)).map { $0 * Double($1) }.reduce(0, +)
    }
    Self.truths.withLock { $0[operation.testDescription] = truth }
    return truth
  }

  @Test func `no two cases have one name`() {
    #expect(Set(OperationCase.all.map(\.testDescription)).count == OperationCase.all.count)
  }

  @Test(arguments: OperationCase.all) func `equals its double-precision reference`(_ operation: OperationCase) {
    let tape = Tape(pool: Pool(poisons: true), mode: .inference)
    let output = operation.run(zip(operation.inputs, operation.shapes).map { tape.constant($0, $1) })
    let expected = operation.reference(operation.inputs.map { $0.map(Double.init) })
    #expect(difference(operation.name, output.values, expected, tolerance) == nil)
    #expect(output.node == nil)
  }

  @Test(arguments: OperationCase.all) func `gradients equal central differences`(_ operation: OperationCase) {
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let variables = zip(operation.inputs, operation.shapes).map { tape.variable($0, $1) }
    let output = operation.run(variables)
    let gradients = tape.backward(
      from: output, seed: tape.constant(seed(output.count), output.shape), wanting: variables)
    for (input, (gradient, expected)) in zip(gradients, expectedGradients(operation)).enumerated() {
      #expect(difference("gradient \(input)", gradient?.values ?? [], expected, tolerance) == nil)
    }
  }

  @Test(arguments: OperationCase.all) func `adds to the gradient of an input used twice`(_ operation: OperationCase) {
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let variables = zip(operation.inputs, operation.shapes).map { tape.variable($0, $1) }
    let (first, second) = (operation.run(variables), operation.run(variables))
    let output = first + second.scaled(by: 3)
    let gradients = tape.backward(
      from: output, seed: tape.constant(seed(output.count), output.shape), wanting: variables)
    for (input, (gradient, expected)) in zip(gradients, expectedGradients(operation)).enumerated() {
      #expect(difference("gradient \(input)", gradient?.values ?? [], expected.map { 4 * $0 }, tolerance) == nil)
    }
  }

  @Test(arguments: OperationCase.all) func `writes weight gradients into their windows, first set, then added`(
    _ operation: OperationCase
  ) {
    let pool = Pool(poisons: true)
    var gradients: [Storage] = []
    var targets: [GradientTarget] = []
    for shape in operation.shapes {
      let storage = pool.storage(count: shape.count)
      Pool.poison(storage.pointer, count: shape.count)
      gradients.append(storage)
      targets.append(GradientTarget(storage))
    }
    for _ in 0..<2 {
      let tape = Tape(pool: pool, mode: .recording)
      let leaves = operation.inputs.indices.map {
        tape.leaf(
          tape.constant(operation.inputs[$0], operation.shapes[$0]).storage, operation.shapes[$0], target: targets[$0])
      }
      let output = operation.run(leaves)
      _ = tape.backward(from: output, seed: tape.constant(seed(output.count), output.shape), wanting: [])
    }
    for (input, expected) in expectedGradients(operation).enumerated() {
      let actual = Array(UnsafeBufferPointer(start: gradients[input].pointer, count: gradients[input].count))
      #expect(targets[input].isWritten)
      #expect(difference("gradient \(input)", actual, expected.map { 2 * $0 }, tolerance) == nil)
    }
  }

  @Test(arguments: OperationCase.all) func `skips inputs that want no gradient and serves the others`(
    _ operation: OperationCase
  ) {
    let expected = expectedGradients(operation)
    for wanted in operation.shapes.indices {
      let tape = Tape(pool: Pool(poisons: true), mode: .recording)
      let inputs = operation.inputs.indices.map {
        $0 == wanted
          ? tape.variable(operation.inputs[$0], operation.shapes[$0])
          : tape.constant(operation.inputs[$0], operation.shapes[$0])
      }
      let output = operation.run(inputs)
      let gradients = tape.backward(
        from: output, seed: tape.constant(seed(output.count), output.shape), wanting: [inputs[wanted]])
      #expect(difference("gradient \(wanted)", gradients[0]?.values ?? [], expected[wanted], tolerance) == nil)
    }
  }
}
