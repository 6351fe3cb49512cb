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
    let cuts = cuts ?? [0, gradient.count], scratch = Scratch()
    let names = slots.keys.sorted()
    let memory = names.map { UnsafeMutableBufferPointer<Float>.allocate(capacity: slots[$0]?.count ?? 0) }
    let gradients = UnsafeMutableBufferPointer<Float>.allocate(capacity: gradient.count)
    defer { for buffer in memory + [gradients] { buffer.deallocate() } }
    for (name, buffer) in zip(names, memory) { _ = buffer.initialize(from: slots[name] ?? []) }
    _ = gradients.initialize(from: gradient)
    for (lower, upper) in zip(cuts, cuts.dropFirst()).reversed() {
      let stretches = Dictionary(
        uniqueKeysWithValues: zip(names, memory).map { ($0, UnsafeMutableBufferPointer(rebasing: $1[lower..<upper])) })
      guard let value = stretches["value"] else { continue }
      let shard = ParameterShard(
        spec: spec, range: lower..<upper, group: group, value: value,
        gradient: UnsafeMutableBufferPointer(rebasing: gradients[lower..<upper]),
        slots: stretches.filter { $0.key != "value" }, scratch: scratch)
      shard.forEachBirth(births, at: moment) { optimizer.update($0, at: $1) }
    }
    for (name, buffer) in zip(names, memory) { slots[name] = Array(buffer) }
  }
}

/// A layer that is one parameter.
private struct LooseLayer: Layer {
  let parameter: Parameter
  func callAsFunction(_ x: Tensor) -> Tensor { x }
}
