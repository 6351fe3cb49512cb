import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting
import EspalierTrain
import Testing

/// State does not depend on who holds which part of it.
@Suite struct StoreTests {
  static let sizes = [[20_000, 33], [5], [4096, 4097, 100]]
  static let slots = [SlotSpec("test.first", growth: .likeGradient), SlotSpec("test.second", growth: .zero)]

  private static func store(_ communicator: Communicator, stage: ZeroStage) -> Store {
    Store(
      LooseModel.build(sizes), slots: slots,
      options: Store.Options(stage: stage, lanes: 4, poisons: true), communicator: communicator)
  }

  @Test("first weights are those of the seed at every number of ranks and stage", arguments: 1...4, ZeroStage.allCases)
  func initialize(ranks: Int, stage: ZeroStage) throws {
    func lines(_ ranks: Int, _ stage: ZeroStage, seed: UInt64) throws -> [[String]] {
      try Ranks.run(ranks) { communicator in
        let store = Self.store(communicator, stage: stage)
        try store.initialize(seed: seed)
        return try store.digests().lines
      }
    }
    let alone = try lines(1, .none, seed: 11)[0]
    #expect(try lines(ranks, stage, seed: 11) == Array(repeating: alone, count: ranks))
    #expect(try lines(ranks, stage, seed: 12)[0] != alone)
  }

  @Test("every stretch that is updated is this rank's, and together they are all of every weight", arguments: 1...4)
  func updated(ranks: Int) throws {
    let spans = try Ranks.run(ranks) { communicator in
      let store = Self.store(communicator, stage: .slots)
      var spans: [String: [Range<Int>]] = [:]
      store.forEachUpdated(store.blueprint.parameters.map { _ in ParameterGroup() }) { shard in
        spans[shard.spec.name, default: []].append(shard.range)
        #expect(shard.value.count == shard.range.count && shard.gradient.count == shard.range.count)
        #expect(shard.slot("test.first").count == shard.range.count)
      }
      return spans
    }
    for spec in LooseModel.build(Self.sizes).blueprint.parameters {
      let ranges = spans.flatMap { $0[spec.name] ?? [] }.sorted { $0.lowerBound < $1.lowerBound }
      #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == spec.count)
      #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    }
  }

  @Test("slots fill any layout from one state, and nothing else is touched", arguments: 1...4, ZeroStage.allCases)
  func relayout(ranks: Int, stage: ZeroStage) throws {
    let built = LooseModel.build(Self.sizes)
    var state: [String: [Float]] = [:]
    for (index, spec) in built.blueprint.parameters.enumerated() {
      for (slot, name) in ["value", "test.first"].enumerated() {
        state["\(spec.name)/\(name)"] = (0..<spec.count).map { LaneReference.value(lane: 10 * index + slot, index: $0) }
      }
    }
    let source = GivenState(slots: state, built.blueprint)
    let expected = state.map { name, values in
      let parts = name.split(separator: "/")
      return values.withUnsafeBufferPointer {
        "\(name) \(Digest(parameter: String(parts[0]), slot: String(parts[1]), elements: $0))"
      }
    }
    let lines = try Ranks.run(ranks) { communicator in
      let store = Self.store(communicator, stage: stage)
      let before = try store.digests().lines.filter { $0.contains("test.second") }
      try Relayout(from: source).read(into: store, slots: [.value, Self.slots[0]])
      try store.share()
      let after = try store.digests().lines
      #expect(after.filter { $0.contains("test.second") } == before)
      return after
    }
    for line in expected { #expect(lines.allSatisfy { $0.contains(line) }, "\(line)") }
  }

  @Test("a state that does not fit is refused with all that is wrong, before anything is written")
  func misfit() throws {
    let built = LooseModel.build(Self.sizes)
    var shapes = Dictionary(uniqueKeysWithValues: built.blueprint.parameters.map { ($0.name, $0.shape.dimensions) })
    var state = Dictionary(
      uniqueKeysWithValues: built.blueprint.parameters.map {
        ("\($0.name)/value", Array(repeating: Float(1), count: $0.count))
      })
    shapes["0.1"] = [34]
    shapes["1.0"] = nil
    state["2.2/value"] = nil
    let source = GivenState(slots: state, shapes: shapes)
    let text = try Ranks.run(1) { communicator in
      let store = Self.store(communicator, stage: .values)
      try store.initialize(seed: 1)
      let before = try store.digests().total
      do {
        try Relayout(from: source).read(into: store, slots: [.value])
        return "nothing was refused"
      } catch let error as RelayoutError {
        #expect(try store.digests().total == before)
        return error.description
      }
    }[0]
    #expect(
      text == "the state does not fit the model: '0.1' has shape [34] and the model asks for [33]; '1.0' is missing; "
        + "slot 'value' of '2.2' is missing; resume with the recipe that made it, or start a new run with "
        + "'start: { from: … }'")
  }
}
