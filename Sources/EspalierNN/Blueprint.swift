public import EspalierTensor

/// A property of a weight that optimizers and operators ask for by name.
public struct ParameterTag: Hashable, Codable, Sendable, ExpressibleByStringLiteral {
  /// As it is written.
  public let name: String
  /// The tag of that name.
  public init(stringLiteral name: String) { self.name = name }

  /// The last weight of a residual branch: zero there makes the branch silent.
  public static let residualOutput: ParameterTag = "residualOutput"
  /// No weight decay: gains and biases.
  public static let noDecay: ParameterTag = "noDecay"
  /// A table that is looked up.
  public static let embedding: ParameterTag = "embedding"
  /// The projection to the logits.
  public static let head: ParameterTag = "head"
}

/// One weight as the blueprint knows it: no memory.
public struct ParameterSpec: Hashable, Codable, Sendable {
  /// The full path, "blocks.3.attention.qkv.weight".
  public let name: String
  /// Outermost first.
  public let axes: [Axis]
  /// How it starts.
  public let initializer: Initializer
  /// What optimizers and operators ask for.
  public let tags: Set<ParameterTag>
  /// False for a frozen weight: no gradient, no optimizer slot.
  public let isTrainable: Bool

  /// One dimension an axis.
  public var shape: Shape { Shape(axes.map(\.count)) }
  /// Elements.
  public var count: Int { shape.count }
}

/// What is gathered, recomputed, reduced and stacked as one.
public struct SegmentSpec: Hashable, Codable, Sendable {
  /// The full path, "blocks.3".
  public let name: String
  /// Segments of one stack are repeats of one another; depth operators work on stacks.
  public let stack: String?
  /// Stays gathered from its first to its last use: for weights that two places share.
  public let isResident: Bool
  /// The places of its parameters in the blueprint.
  public let parameters: Range<Int>
}

/// What a model is, without memory: every parameter with its axes, in segments, in the order of the forward pass.
public struct Blueprint: Hashable, Codable, Sendable {
  /// In the order in which the model was made.
  public let parameters: [ParameterSpec]
  /// In the order of the forward pass.
  public let segments: [SegmentSpec]

  /// The number of weights.
  public var count: Int { parameters.reduce(0) { $0 + $1.count } }

  /// The number of weights that are trained.
  public var trainedCount: Int { parameters.reduce(0) { $0 + ($1.isTrainable ? $1.count : 0) } }

  /// Floating-point operations that one element of a product's weight costs each time it is used: two forward, two for the
  /// gradient of the input where anything before is trained, two for its own where it is.
  public func operationsPerUse(of parameter: Int) -> Int {
    if parameters[parameter].isTrainable { return 6 }
    let segment = segments.firstIndex { $0.parameters.contains(parameter) }
    return segment.map { sweptSegments[$0] } == false ? 2 : 4
  }

  /// For each segment whether a backward pass goes through it: not where neither it nor any before it has a weight to train.
  ///
  /// A resident segment is swept in any case, since a later use of its weights may lie behind one that is trained.
  package var sweptSegments: [Bool] {
    var isTrained = false
    return segments.map { segment in
      isTrained = isTrained || parameters(of: segment).contains { $0.isTrainable }
      return isTrained || segment.isResident
    }
  }

  /// The parameters of one segment.
  public func parameters(of segment: SegmentSpec) -> ArraySlice<ParameterSpec> { parameters[segment.parameters] }
}
