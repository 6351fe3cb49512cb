import EspalierMethods
import EspalierNN
import Foundation
import Testing

/// The losses of replay methods with and without LODE, against the authors' code in double precision (`lode.json`).
@Suite struct StepLossGoldenTests {
  struct Golden: Decodable {
    struct Case: Decodable {
      let new_classes: [Int32]
      let er: Loss
      let derpp: Loss
      let esmer: ESMER
      let mixed_batch: Mixed
      let inter_per_sample: [Double]
      let intra_per_sample: [Double]
      let identity_full_ce: [Double]
    }
    struct Loss: Decodable {
      let loss: Double
      let grad_new_logits: [[Double]]
      let grad_buffer_logits: [[Double]]
      let grad_second_buffer_logits: [[Double]]?
    }
    struct ESMER: Decodable {
      let sample_weight: [Double]
      let loss: Double
      let grad_new_logits: [[Double]]
      let grad_buffer_logits: [[Double]]
      let slow_model_losses: [Double]
      let running_mean: Double
      let slow_model_buffer_logits: [[Double]]
    }
    struct Mixed: Decodable {
      let logits: [[Double]]
      let labels: [Int32]
      let loss: Double
      let grad: [[Double]]
    }
    struct First: Decodable {
      let labels: [Int32]
      let buffer_labels: [Int32]
      let er_loss: Double
      let grad_new_logits: [[Double]]
      let grad_buffer_logits: [[Double]]
    }
    let new_logits: [[Double]]
    let new_labels: [Int32]
    let buffer_logits: [[Double]]
    let buffer_labels: [Int32]
    let second_buffer_logits: [[Double]]
    let second_buffer_stored_logits: [[Double]]
    let cases: [String: Case]
    let first_task_with_non_empty_buffer: First
  }

  static func golden() throws -> Golden {
    let file = try #require(Bundle.module.url(forResource: "Goldens/lode", withExtension: "json"))
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
  }

  /// Two finished tasks of two classes, of four.
  static func task(_ number: Int = 2) -> TaskInfo {
    TaskInfo(
      number: number, count: 4, setting: .class, classes: [Int32(2 * number), Int32(2 * number + 1)],
      earlierTasks: (0..<number).map { [Int32(2 * $0), Int32(2 * $0 + 1)] }, rowCount: 8)
  }

  static func lode(_ key: String) throws -> LossDecoupling {
    var options = LossDecoupling.Options()
    options.newClasses = key == "paper_class_set" ? .task : .unseen
    return try LossDecoupling(options)
  }

  /// Loss and gradient of a part on its logits.
  static func evaluate(_ part: StepLoss.Part?, _ logits: [[Double]]) throws -> (loss: Double, gradient: [Double]) {
    let part = try #require(part)
    let values = logits.joined().map { Float($0) }
    var gradient = [Double](repeating: 0, count: values.count)
    let loss = values.withUnsafeBufferPointer { values in
      gradient.withUnsafeMutableBufferPointer { part.evaluate(values, columns: 8, gradient: $0).loss }
    }
    return (loss, gradient)
  }

  static func distance(_ a: [Double], _ b: [[Double]]) -> Double {
    zip(a, b.joined()).map { abs($0 - $1) }.max() ?? .infinity
  }

  /// Logits are whole quarters, exact in single precision, and the loss is taken in double.
  static let tolerance = 1e-10

  @Test(
    "er, derpp and esmer with lode have the loss and the gradients of the authors' code, for both sets of new classes",
    arguments: ["code_class_set", "paper_class_set"])
  func decoupled(key: String) throws {
    let golden = try Self.golden(), expected = try #require(golden.cases[key])
    let stream = StepLoss.Part(targets: golden.new_labels, count: golden.new_labels.count)
    let buffer = StepLoss.Part(targets: golden.buffer_labels, count: golden.buffer_labels.count)

    var er = StepLoss(task: Self.task(), stream: stream, draws: ["er": buffer])
    var options = ExperienceReplay.Options()
    options.average = .halves
    try ExperienceReplay(options).shape(&er)
    try Self.lode(key).shape(&er)
    var new = try Self.evaluate(er.stream, golden.new_logits)
    var old = try Self.evaluate(er.draws["er"], golden.buffer_logits)
    #expect(abs(new.loss + old.loss - expected.er.loss) < Self.tolerance)
    #expect(Self.distance(new.gradient, expected.er.grad_new_logits) < Self.tolerance)
    #expect(Self.distance(old.gradient, expected.er.grad_buffer_logits) < Self.tolerance)

    let kept = StepLoss.Part(
      targets: golden.second_buffer_logits.map { _ in 0 }, count: golden.second_buffer_logits.count,
      keptLogits: golden.second_buffer_stored_logits.joined().map { Float($0) })
    var dark = StepLoss(task: Self.task(), stream: stream, draws: ["derpp.labels": buffer, "derpp.logits": kept])
    try DarkExperienceReplay(DarkExperienceReplay.Options()).shape(&dark)
    try Self.lode(key).shape(&dark)
    new = try Self.evaluate(dark.stream, golden.new_logits)
    old = try Self.evaluate(dark.draws["derpp.labels"], golden.buffer_logits)
    let second = try Self.evaluate(dark.draws["derpp.logits"], golden.second_buffer_logits)
    #expect(abs(new.loss + old.loss + second.loss - expected.derpp.loss) < Self.tolerance)
    #expect(Self.distance(new.gradient, expected.derpp.grad_new_logits) < Self.tolerance)
    #expect(Self.distance(old.gradient, expected.derpp.grad_buffer_logits) < Self.tolerance)
    #expect(Self.distance(second.gradient, expected.derpp.grad_second_buffer_logits ?? []) < Self.tolerance)

    var slow = StepLoss(task: Self.task(), stream: stream, draws: ["esmer": buffer])
    slow.stream.sampleFactors = expected.esmer.slow_model_losses.map {
      $0 >= 1.2 * expected.esmer.running_mean ? Float(expected.esmer.running_mean / $0) : 1
    }
    slow.draws["esmer"]?.factor = 1
    slow.draws["esmer"]?.distances = [
      .init(to: expected.esmer.slow_model_buffer_logits.joined().map { Float($0) }, columns: 8, factor: 0.15)
    ]
    try Self.lode(key).shape(&slow)
    new = try Self.evaluate(slow.stream, golden.new_logits)
    old = try Self.evaluate(slow.draws["esmer"], golden.buffer_logits)
    for (factor, weight) in zip(slow.stream.sampleFactors, expected.esmer.sample_weight) {
      #expect(abs(Double(factor) - weight) < 1e-7)
    }
    // The factors of samples are single precision.
    #expect(abs(new.loss + old.loss - expected.esmer.loss) < 1e-6)
    #expect(Self.distance(new.gradient, expected.esmer.grad_new_logits) < 1e-6)
    #expect(Self.distance(old.gradient, expected.esmer.grad_buffer_logits) < Self.tolerance)
  }

  @Test(
    "a batch of new and old samples that is cut into lanes of unequal counts adds up to the whole",
    arguments: ["code_class_set", "paper_class_set"])
  func mixed(key: String) throws {
    let expected = try #require(try Self.golden().cases[key]).mixed_batch
    let isNew = expected.labels.map { $0 >= 4 }
    for cut in [[0..<6], [0..<1, 1..<6], [0..<4, 4..<6], [0..<2, 2..<2, 2..<6]] {
      var loss = 0.0, gradient: [Double] = []
      for lane in cut {
        for sample in lane {
          var step = StepLoss(
            task: Self.task(),
            stream: .init(targets: isNew[sample] ? [expected.labels[sample]] : [], count: isNew.count { $0 }),
            draws: ["er": .init(targets: isNew[sample] ? [] : [expected.labels[sample]], count: isNew.count { !$0 })])
          step.draws["er"]?.factor = 1
          try Self.lode(key).shape(&step)
          let term = try Self.evaluate(
            isNew[sample] ? step.stream : step.draws["er"], [expected.logits[sample]])
          loss += term.loss
          gradient += term.gradient
        }
      }
      #expect(abs(loss - expected.loss) < Self.tolerance)
      #expect(Self.distance(gradient, expected.grad) < Self.tolerance)
    }
  }

  @Test("in the first task er is half of each mean, and lode changes nothing")
  func firstTask() throws {
    let golden = try Self.golden(), expected = golden.first_task_with_non_empty_buffer
    var step = StepLoss(
      task: Self.task(0), stream: .init(targets: expected.labels, count: expected.labels.count),
      draws: ["er": .init(targets: expected.buffer_labels, count: expected.buffer_labels.count)])
    var options = ExperienceReplay.Options()
    options.average = .halves
    try ExperienceReplay(options).shape(&step)
    try Self.lode("code_class_set").shape(&step)
    let new = try Self.evaluate(step.stream, golden.new_logits)
    let old = try Self.evaluate(step.draws["er"], golden.buffer_logits)
    #expect(abs(new.loss + old.loss - expected.er_loss) < Self.tolerance)
    #expect(Self.distance(new.gradient, expected.grad_new_logits) < Self.tolerance)
    #expect(Self.distance(old.gradient, expected.grad_buffer_logits) < Self.tolerance)
  }

  @Test(
    "inter and intra of every sample are those of the authors' code, and add up to the cross-entropy",
    arguments: ["code_class_set", "paper_class_set"])
  func identity(key: String) throws {
    let golden = try Self.golden(), expected = try #require(golden.cases[key])
    let competing = (0..<4).map { Int32($0) } + expected.new_classes
    for (sample, label) in golden.new_labels.enumerated() {
      func loss(_ inter: Double, _ intra: Double) throws -> Double {
        var part = StepLoss.Part(targets: [label], count: 1, competing: [competing])
        part.target = .decoupled(old: [0, 1, 2, 3], new: expected.new_classes, inter: inter, intra: intra)
        return try Self.evaluate(part, [golden.new_logits[sample]]).loss
      }
      let all = try Self.evaluate(
        .init(targets: [label], count: 1, competing: [competing]), [golden.new_logits[sample]])
      #expect(abs(try loss(0, 1) - expected.intra_per_sample[sample]) < Self.tolerance)
      #expect(abs(try loss(1, 1) - all.loss) < Self.tolerance)
      #expect(abs(all.loss - expected.identity_full_ce[sample]) < Self.tolerance)
    }
  }

  @Test("the gradient of every form of loss is its derivative")
  func derivatives() throws {
    let golden = try Self.golden()
    let logits = Array(golden.new_logits.prefix(3)),
      constants = golden.second_buffer_logits.prefix(3).joined().map { Float($0) }
    var entropy = StepLoss.Part(targets: [4, 5, 1], count: 7, competing: [[4, 5], [4, 5, 6], [0, 1]])
    entropy.sampleFactors = [0.5, 1, 2]
    var decoupled = StepLoss.Part(targets: [4, 5, 5], count: 5)
    decoupled.target = .decoupled(old: [0, 2, 6], new: [4, 5, 7], inter: 0.3, intra: 1.7)
    var distant = StepLoss.Part(targets: [4, 5, 5], count: 4)
    (distant.factor, distant.distances) = (0, [.init(to: constants, columns: 8, factor: 0.7, counted: [8, 4, 6])])
    var distilled = StepLoss.Part(targets: [4, 5, 5], count: 4)
    distilled.factor = 0
    distilled.distillations = [.init(teacher: constants, columns: 8, rows: [0, 1, 3], temperature: 2, factor: 1.3)]
    for part in [entropy, decoupled, distant, distilled] {
      let exact = try Self.evaluate(part, logits).gradient
      for place in 0..<24 {
        func moved(_ by: Double) throws -> Double {
          var moved = logits
          moved[place / 8][place % 8] += by
          return try Self.evaluate(part, moved).loss
        }
        let step = 1.0 / 1024  // exact in single precision
        #expect(abs((try moved(step) - moved(-step)) / (2 * step) - exact[place]) < 1e-6)
      }
    }
  }

  @Test("a model that is its own teacher has nothing to unlearn")
  func ownTeacher() throws {
    let golden = try Self.golden()
    var part = StepLoss.Part(targets: golden.new_labels, count: golden.new_labels.count)
    part.factor = 0
    part.distillations = [
      .init(
        teacher: golden.new_logits.joined().map { Float($0) }, columns: 8, rows: [0, 1, 2, 3], temperature: 2, factor: 1
      )
    ]
    let term = try Self.evaluate(part, golden.new_logits)
    #expect(abs(term.loss) < 1e-12 && term.gradient.allSatisfy { abs($0) < 1e-12 })
  }
}
