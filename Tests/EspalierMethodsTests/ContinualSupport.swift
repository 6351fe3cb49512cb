import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting

/// A session of one weight, in which tests play the engine.
final class OneWeight: MethodSession {
  var task: TaskInfo
  let key = RandomKey(seed: 1)
  private(set) var values: [Float]
  var gradient: [Float]
  private(set) var slots: [String: [Float]]
  /// What squares of gradients are over the task.
  var squares: [Float] = []
  /// The gradient of every draw; nil while nothing is kept.
  var reference: [Float]?
  var noted: [String: [Double]] = [:]

  init(_ values: [Float], _ method: any ContinualMethod, task: Int = 0) {
    self.values = values
    gradient = Array(repeating: 0, count: values.count)
    slots = Dictionary(
      uniqueKeysWithValues: method.slots.map { ($0.name, Array(repeating: 0, count: values.count)) })
    self.task = Self.task(task)
  }

  static func task(_ number: Int) -> TaskInfo {
    TaskInfo(
      number: number, count: 9, setting: .class, classes: [Int32(number)],
      earlierTasks: (0..<Int32(number)).map { [$0] },
      rowCount: 9)
  }

  func begin(task number: Int) { task = Self.task(number) }

  /// An update of plain descent.
  func descend(rate: Float) { for i in values.indices { values[i] -= rate * gradient[i] } }

  func notes(_ name: String) -> [Double] { noted[name] ?? [] }
  func gather(_ own: [String: Double]) throws -> [String: Double] { own }
  func values(of parameters: [String]) throws -> [String: [Float]] { [:] }
  func forEachBatchGradient(_ body: () throws -> Void) throws { try body() }
  var parameters: [ParameterSpec] { [LooseParameter(values, gradient: gradient, slots: []).spec] }

  func moments(of layers: [(layer: String, samples: Int)], _ statistic: InputStatistic) throws -> InputMoments {
    InputMoments(layers: [], lanes: [:])
  }

  func decompose<Answer: Codable & Sendable>(
    _ moments: InputMoments, _ answer: (_ layer: String, _ moments: DoubleMatrix) throws -> Answer
  ) throws -> [String: Answer] { [:] }

  func forEachShard(_ body: (ParameterShard) -> Void) {
    let count = values.count
    let spec = LooseParameter(values, gradient: gradient, slots: []).spec
    let buffers = slots.mapValues { values in
      let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
      _ = buffer.initialize(from: values)
      return buffer
    }
    defer { for buffer in buffers.values { buffer.deallocate() } }
    values.withUnsafeMutableBufferPointer { values in
      gradient.withUnsafeMutableBufferPointer { gradient in
        body(
          ParameterShard(
            spec: spec, range: 0..<count, group: ParameterGroup(), value: values, gradient: gradient, slots: buffers,
            scratch: Scratch()))
      }
    }
    slots = buffers.mapValues { Array($0) }
  }

  private subscript(_ vector: WeightVector) -> [Float] {
    get {
      switch vector {
      case .values: values
      case .gradient: gradient
      case .slot(let name): slots[name] ?? []
      }
    }
    set {
      switch vector {
      case .values: values = newValue
      case .gradient: gradient = newValue
      case .slot(let name): slots[name] = newValue
      }
    }
  }

  func dot(_ a: WeightVector, _ b: WeightVector) -> Double {
    zip(self[a], self[b]).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }

  func copy(_ source: WeightVector, to destination: WeightVector) { self[destination] = self[source] }

  func gradient(ofDraw name: String, into slot: String) -> Bool {
    guard let reference else { return false }
    slots[slot] = reference
    return true
  }

  func addSquaredGradients(batches: Int, to slot: String) {
    slots[slot] = zip(slots[slot] ?? [], squares).map { $0 + $1 }
  }

  func refresh(teacher slot: String) {}
}
