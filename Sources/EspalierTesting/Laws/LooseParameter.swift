package import EspalierNN
package import EspalierState
import EspalierTensor

/// One parameter with its gradient and slots outside of every store: what an optimizer's laws are checked on.
package struct LooseParameter {
  package let spec: ParameterSpec
  /// `value` and the optimizer's slots, by name.
  package var slots: [String: [Float]]
  package var gradient: [Float]
  package var group = ParameterGroup()

  /// - Parameter axes: nil for one.
  package init(
    _ values: [Float], gradient: [Float], slots: [SlotSpec], axes: [Axis]? = nil, tags: Set<ParameterTag> = []
  ) {
    spec =
      Scope.build { scope in
        scope.segment("loose") {
          LooseLayer(
            parameter: $0.parameter("weight", axes ?? [.output("row", values.count)], .zeros, tags: tags))
        }
      }.blueprint.parameters[0]
    self.slots = Dictionary(uniqueKeysWithValues: slots.map { ($0.name, Array(repeating: 0, count: values.count)) })
    self.slots["value"] = values
    self.gradient = gradient
  }

  package var value: [Float] { slots["value"] ?? [] }

  /// Lets the optimizer update the stretches `cuts[i] ..< cuts[i + 1]`, last one first; all at once without cuts.
  package mutating func update(
    _ optimizer: any Optimizer, at moment: UpdateMoment, cuts: [Int]? = nil, births: UpdateBirths = .none
  ) {
    withShards(cuts ?? [0, gradient.count]) { shards in
      for shard in shards.reversed() { shard.forEachBirth(births, at: moment) { optimizer.update($0, at: $1) } }
    }
  }

  /// Lets the optimizer update stretches as ranks would that each have one: directions are brought together and taken back.
  package mutating func updateAssembled(
    _ optimizer: any AssemblingOptimizer, at moment: UpdateMoment, cuts: [Int]
  ) {
    let spec = spec, marks = optimizer.markCount(of: spec)
    func direction(_ range: Range<Int>, marked value: Float) -> (memory: UnsafeMutablePointer<Float>, view: Direction) {
      let count = Direction.room(range.count, marks: marks)
      let memory = UnsafeMutablePointer<Float>.allocate(capacity: count)
      memory.initialize(repeating: .nan, count: count)
      let view = Direction(memory, range: range, marks: marks)
      view.marks.update(repeating: value)
      return (memory, view)
    }
    withShards(cuts) { shards in
      let parts = shards.map { direction($0.range, marked: .nan) }, whole = direction(0..<spec.count, marked: 0)
      defer { for part in parts + [whole] { part.memory.deallocate() } }
      for (shard, part) in zip(shards, parts) {
        optimizer.begin(shard, part.view, at: moment)
        (whole.view.elements + shard.range.lowerBound).update(from: part.view.elements, count: shard.range.count)
        for mark in 0..<marks where part.view.marks[mark] != 0 { whole.view.marks[mark] = 1 }
      }
      let work = Scratch()
      optimizer.transform(whole.view, of: spec, scratch: work.floats(optimizer.scratchCount(of: spec)))
      for (shard, part) in zip(shards, parts) {
        part.view.elements.update(from: whole.view.elements + shard.range.lowerBound, count: shard.range.count)
        for mark in 0..<marks { part.view.marks[mark] = whole.view.marks[mark] }
        optimizer.finish(shard, part.view, at: moment)
      }
    }
  }

  /// Lends its memory as stretches, each with working memory of its own.
  private mutating func withShards(_ cuts: [Int], _ body: ([ParameterShard]) -> Void) {
    let names = slots.keys.sorted()
    let memory = names.map { UnsafeMutableBufferPointer<Float>.allocate(capacity: slots[$0]?.count ?? 0) }
    let gradients = UnsafeMutableBufferPointer<Float>.allocate(capacity: gradient.count)
    defer { for buffer in memory + [gradients] { buffer.deallocate() } }
    for (name, buffer) in zip(names, memory) { _ = buffer.initialize(from: slots[name] ?? []) }
    _ = gradients.initialize(from: gradient)
    body(
      zip(cuts, cuts.dropFirst()).compactMap { lower, upper in
        let stretches = Dictionary(
          uniqueKeysWithValues: zip(names, memory).map { ($0, UnsafeMutableBufferPointer(rebasing: $1[lower..<upper])) }
        )
        return stretches["value"].map { value in
          ParameterShard(
            spec: spec, range: lower..<upper, group: group, value: value,
            gradient: UnsafeMutableBufferPointer(rebasing: gradients[lower..<upper]),
            slots: stretches.filter { $0.key != "value" }, scratch: Scratch())
        }
      })
    for (name, buffer) in zip(names, memory) { slots[name] = Array(buffer) }
  }
}

/// A layer that is one parameter.
private struct LooseLayer: Layer {
  let parameter: Parameter
  func callAsFunction(_ x: Tensor) -> Tensor { x }
}
