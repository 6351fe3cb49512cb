public import EspalierNN
public import EspalierState

/// A method that protects the input spaces of earlier tasks: what such methods answer alike.
public protocol SubspaceMethod: ContinualMethod {}

extension SubspaceMethod {
  /// A matrix whose gradient is projected lies whole on one rank.
  public func granularity(of spec: ParameterSpec) -> Granularity { SubspaceMemory.protects(spec) ? .matrix : .element }

  /// Refuses all settings but known tasks: any other has rows of the head that several tasks move.
  public func check(_ setting: TaskSetting, with others: [String]) throws {
    guard setting == .task else {
      throw MethodError(
        Self.name, "it gives each task rows of the head that no other moves, and a test must know the task",
        remedy: "use it with 'tasks: { setting: task }'")
    }
  }

  /// Refuses a model that remembers more of the stream than its weights.
  public func check(_ blueprint: Blueprint) throws {
    guard let spec = blueprint.parameters.first(where: \.isStatistic) else { return }
    throw MethodError(
      Self.name, "'\(spec.name)' follows the stream, so the outputs of earlier tasks would move whatever the gradient",
      remedy:
        "use a model without running statistics: 'normalization: batch' of convolutionalNetwork and residualNetwork")
  }
}

/// GPM and DualGPM: one memory of input spaces, which differ in when a space is kept as its complement.
public protocol GradientProjection: SubspaceMethod where Options == SubspaceOptions, Memory == SubspaceMemory {
  /// When the other space is kept instead.
  static var flip: InputSubspace.Flip { get }
  /// As the recipe set them.
  var options: SubspaceOptions { get }
}

extension GradientProjection {
  /// Refuses a growth whose new inputs nobody has seen.
  public func check(_ growth: InputGrowth, of blueprint: Blueprint) throws {
    for spec in blueprint.parameters where SubspaceMemory.protects(spec) {
      guard let sources = growth.sources(spec.name), !sources.contains(nil) else {
        throw MethodError(
          Self.name,
          "the growth gives '\(spec.name)' inputs that are no copies, and what earlier tasks made of them is not known",
          remedy: "grow by an operator that copies, such as duplicate, or before the first task")
      }
    }
  }
  public mutating func adjust(_ session: any MethodSession) { memory.adjust(session) }
  public mutating func taskEnded(_ session: any MethodSession) throws {
    try memory.learn(session, options, flip: Self.flip)
  }
  public mutating func grown(_ growth: InputGrowth) throws { try memory.grow(growth) }
}
