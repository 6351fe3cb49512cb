package import EspalierNN

/// Which slots each parameter has, and how they lie in memory.
///
/// The slabs of a slot hold the parameters that use it and no others: what an update rule does not keep for a weight costs nothing.
package struct SlotTable: Sendable {
  /// `value`, then the optimizer's.
  package let all: [SlotSpec]
  /// What is kept for the elements of a trainable parameter, also of another model.
  let rule: @Sendable (ParameterSpec) -> [SlotSpec]
  /// By parameter; without `value`, which all have. Frozen parameters and statistics have no other.
  private let names: [Set<String>]

  /// - Parameter slots: what is kept for the elements of a trainable parameter; some of `all`.
  package init(_ blueprint: Blueprint, all: [SlotSpec], of slots: @escaping @Sendable (ParameterSpec) -> [SlotSpec]) {
    self.all = [.value] + all
    let rule: @Sendable (ParameterSpec) -> [SlotSpec] = { $0.isStatistic ? [] : slots($0) }
    self.rule = rule
    names = blueprint.parameters.map { $0.isTrainable ? Set(rule($0).map(\.name)) : [] }
  }

  /// What an optimizer keeps, and methods for every trained weight.
  package init(_ blueprint: Blueprint, _ optimizer: any Optimizer, methods: [SlotSpec] = []) {
    self.init(blueprint, all: optimizer.slots + methods) { optimizer.slots(of: $0) + methods }
  }

  package func has(_ slot: String, _ parameter: Int) -> Bool {
    slot == SlotSpec.value.name || names[parameter].contains(slot)
  }

  /// The names of a parameter's slots, `value` first.
  func names(of parameter: Int) -> [String] { all.map(\.name).filter { has($0, parameter) } }

  /// How many slots the parameter has, `value` included.
  package func count(of parameter: Int) -> Int { 1 + names[parameter].count }

  /// How a slot lies in memory that holds `slice` of a segment's run.
  package func packing(_ slot: String, in slice: Range<Int>, segment: Int, _ layout: Layout, _ blueprint: Blueprint)
    -> SlotPacking
  {
    var packing = SlotPacking()
    let pieces = layout.pieces(in: slice, segment: segment, blueprint).sorted { $0.offset < $1.offset }
    for piece in pieces where has(slot, piece.parameter) {
      packing.starts[piece.parameter] = packing.count - piece.range.lowerBound
      packing.count += LayoutPlanner.aligned(piece.range.count)
    }
    return packing
  }
}

/// The stretches of one slot behind each other, in the order of the run, each on a 64-byte edge.
package struct SlotPacking: Sendable {
  /// Where the first element of each parameter would lie if all of them were there.
  fileprivate(set) var starts: [Int: Int] = [:]
  /// Elements, padding included.
  package fileprivate(set) var count = 0

  /// Where a stretch begins.
  func offset(_ piece: LayoutPiece) -> Int? { starts[piece.parameter].map { $0 + piece.range.lowerBound } }
}
