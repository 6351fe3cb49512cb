import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting
import Foundation
import Testing

/// What methods do to gradients, by hand on one weight.
@Suite struct ContinualMethodTests {
  private static func normals(_ name: String, _ number: Int, count: Int = 12) -> [Float] {
    let key = RandomKey(seed: 3).child(name).child(UInt64(number))
    return (0..<UInt64(count)).map { Float(2 * key.uniform(at: $0) - 1) }
  }

  @Test("slots are named after their method, and names stand once", arguments: Catalogue.standard.continual.indices)
  func names(index: Int) throws {
    let type = Catalogue.standard.continual[index]
    func slots<M: ContinualMethod>(_ type: M.Type) throws -> [String] { try M(M.Options()).slots.map(\.name) }
    let names = try slots(type)
    #expect(Set(names).count == names.count && names.allSatisfy { $0.hasPrefix(type.name + ".") })
    #expect(Catalogue.standard.continual.count { $0.name == type.name } == 1)
  }

  // MARK: EWC

  @Test("EWC adds λF(θ − θ*), so a step brings weights back in proportion to their importance, and free ones nowhere")
  func consolidation() throws {
    var options = ElasticWeightConsolidation.Options()
    options.strength = 2
    options.decay = 0.5
    var method = try ElasticWeightConsolidation(options)
    let session = OneWeight([1, 2, 3, 4], method)
    method.adjust(session)
    #expect(session.gradient == [0, 0, 0, 0], "nothing is held during the first task")

    session.squares = [0, 0.25, 1, 4]
    try method.taskEnded(session)
    session.begin(task: 1)
    // Away from the anchor by (1, 1, −2, 0.5).
    session.gradient = [-1, -1, 2, -0.5]
    session.descend(rate: 1)
    #expect(session.values == [2, 3, 1, 4.5])
    session.gradient = [0, 0, 0, 0]
    method.adjust(session)
    #expect(session.gradient == [0, 0.5, -4, 4])
    session.descend(rate: 0.0625)
    #expect(session.values == [2, 2.96875, 1.25, 4.25])

    // The next task adds to what is left of the old importance, and holds where it ended.
    session.squares = [1, 0, 0, 1]
    try method.taskEnded(session)
    #expect(session.slots["ewc.importance"] == [1, 0.125, 0.5, 3])
    #expect(session.slots["ewc.anchor"] == session.values)
  }

  // MARK: A-GEM

  @Test("A-GEM leaves no gradient against the records, and touches none that was not", arguments: 0..<40)
  func projection(number: Int) throws {
    var method = try AveragedGradientMemory(.init())
    let session = OneWeight(Self.normals("value", number), method, task: 1)
    let gradient = Self.normals("gradient", number), reference = Self.normals("reference", number)
    session.reference = reference
    try method.stepBegan(session)
    session.gradient = gradient
    try method.adjust(session)
    func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
    let before = dot(gradient, reference), size = dot(reference, reference)
    if before >= 0 {
      #expect(session.gradient == gradient)
    } else {
      #expect(dot(session.gradient, reference) >= -1e-6 * size)
      let expected = zip(gradient, reference).map { Double($0) - before / size * Double($1) }
      #expect(difference("gradient", session.gradient, expected, Tolerance(absolute: 1e-6, relative: 1e-5)) == nil)
    }
  }

  @Test("both cases of A-GEM are among those that are tried")
  func bothSigns() {
    let negative = (0..<40).filter { number in
      zip(Self.normals("gradient", number), Self.normals("reference", number)).reduce(0) { $0 + $1.0 * $1.1 } < 0
    }
    #expect((8...32).contains(negative.count))
  }

  @Test("in the first task, and while nothing is kept, A-GEM does nothing")
  func noReference() throws {
    var method = try AveragedGradientMemory(.init())
    for (task, reference) in [(0, [-1, -1] as [Float]?), (1, nil)] {
      let session = OneWeight([0, 0], method, task: task)
      session.reference = reference
      try method.stepBegan(session)
      session.gradient = [1, 1]
      try method.adjust(session)
      #expect(session.gradient == [1, 1])
    }
  }

  // MARK: SI

  @Test("SI's importance is never negative, and is max(ω, 0) / (Δθ² + ξ) of the way of each weight")
  func path() throws {
    var options = SynapticIntelligence.Options()
    options.strength = 0.5
    options.damping = 0.25
    var method = try SynapticIntelligence(options)
    let start = Self.normals("value", 0)
    let session = OneWeight(start, method)
    var values = start.map(Double.init), importance = [Double](repeating: 0, count: start.count)
    for task in 0..<3 {
      session.begin(task: task)
      method.taskBegan(session)
      let anchor = values
      var path = [Double](repeating: 0, count: start.count)
      for step in 0..<8 {
        let gradient = Self.normals("gradient \(task)", step)
        session.gradient = gradient
        method.adjust(session)
        let pull = (0..<values.count).map { task == 0 ? 0 : 2 * 0.5 * importance[$0] * (values[$0] - anchor[$0]) }
        session.descend(rate: 0.1)
        method.updated(session)
        for i in values.indices {
          let way = -0.1 * (Double(gradient[i]) + pull[i])
          path[i] -= Double(gradient[i]) * way
          values[i] += way
        }
      }
      method.taskEnded(session)
      for i in values.indices { importance[i] += max(path[i], 0) / (pow(values[i] - anchor[i], 2) + 0.25) }
      let found = try #require(session.slots["si.importance"])
      #expect(found.allSatisfy { $0 >= 0 } && found.contains { $0 > 0.01 })
      #expect(difference("importance", found, importance, Tolerance(absolute: 1e-5, relative: 1e-4)) == nil)
      #expect(session.slots["si.path"] == Array(repeating: 0, count: start.count))
      #expect(session.slots["si.anchor"] == session.values)
    }
  }

  @Test("a weight that went against its gradient is not important")
  func wrongWay() throws {
    var method = try SynapticIntelligence(.init())
    let session = OneWeight([0, 0], method)
    method.taskBegan(session)
    session.gradient = [1, 1]
    method.adjust(session)
    // What another rule made of it: the first went down the gradient, the second up.
    session.gradient = [1, -1]
    session.descend(rate: 0.5)
    method.updated(session)
    method.taskEnded(session)
    let importance = try #require(session.slots["si.importance"])
    #expect(importance[0] > 0 && importance[1] == 0)
  }

  // MARK: ESMER

  @Test("ESMER keeps what does not surprise it, once warm, and its mean loss follows usual losses")
  func surprise() throws {
    func memory(epoch: Int) throws -> StableReplay.Memory {
      try JSONDecoder().decode(
        StableReplay.Memory.self, from: Data(#"{"lossMean":1,"steps":99,"epoch":\#(epoch)}"#.utf8))
    }
    var options = StableReplay.Options()
    options.frequency = 0
    options.lossMemory = 0.5
    var method = try StableReplay(options)
    let session = OneWeight([0], method)
    session.noted = ["loss": [0.5, 0.5, 1.25, 9]]
    method.memory = try memory(epoch: 0)
    #expect(method.keeps(session) == [false, false, false, false])
    method.memory = try memory(epoch: 1)
    #expect(method.keeps(session) == [true, true, false, false])
    try method.updated(session)
    // Of the four, 9 lies beyond one deviation.
    let written = String(decoding: try JSONEncoder().encode(method.memory), as: UTF8.self)
    #expect(written.contains(#""lossMean":0.875"#), "\(written)")
  }
}
