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
  /// The projection of raw features, the first of a model.
  public static let rawInput: ParameterTag = "rawInput"
  /// The gain of a root-mean-square norm.
  public static let rmsGain: ParameterTag = "rmsGain"
  /// The gain of a layer norm, which also takes the mean away.
  public static let layerGain: ParameterTag = "layerGain"
  /// Gain or bias of the norm in front of the projection to the logits.
  public static let lastNorm: ParameterTag = "lastNorm"
  /// No weight but a statistic of activations that is kept from step to step, such as batch norm's mean. Its gradient is how far
  /// it is from what the batch has, and it follows by a fixed share of that: optimizers and methods never see it.
  public static let statistic: ParameterTag = "statistic"
  /// The kernels of a convolution.
  public static let convolution: ParameterTag = "convolution"
  /// How inputs that were added to a layer are mixed from its own.
  public static let mixture: ParameterTag = "mixture"
}

/// A number that the model computes with and that no gradient moves: an ε, a factor on the logits.
///
/// It has a name of its own because growth may change it for one instance and not for another, and a grown model must be
/// built with the numbers it has, not with those of a new one.
public struct ConstantSpec: Hashable, Codable, Sendable {
  /// What the number does.
  public enum Kind: String, Codable, Sendable {
    /// Added to a mean square or a variance over the axis of the label.
    case epsilon
    /// Multiplies the logits.
    case logitScale
  }

  /// The full path, "blocks.3.norm1.epsilon".
  public let name: String
  public let kind: Kind
  /// The label of the axis that a norm runs over; empty where there is none.
  public let label: String
  public let value: Double

  /// A constant of its parts.
  package init(name: String, kind: Kind, label: String, value: Double) {
    self.name = name
    self.kind = kind
    self.label = label
    self.value = value
  }
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
  /// False for a frozen weight: no gradient, no optimizer slot. True for a statistic, which lies among what is trained.
  public let isTrainable: Bool

  /// Kept from step to step, by no optimizer.
  public var isStatistic: Bool { tags.contains(.statistic) }
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
  /// Numbers that no gradient moves, in the order in which the model was made.
  public let constants: [ConstantSpec]

  /// A blueprint of its parts.
  package init(parameters: [ParameterSpec], segments: [SegmentSpec], constants: [ConstantSpec] = []) {
    self.parameters = parameters
    self.segments = segments
    self.constants = constants
  }

  /// The number of weights.
  public var count: Int { parameters.reduce(0) { $0 + $1.count } }

  /// The number of weights that are trained.
  public var trainedCount: Int { parameters.reduce(0) { $0 + ($1.isTrainable ? $1.count : 0) } }

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
