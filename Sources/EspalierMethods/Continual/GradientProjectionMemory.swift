public import EspalierNN
public import EspalierState

/// GPM: a layer's weights move only where the inputs of earlier tasks are not.
///
/// After each task the directions that hold most of the energy of a layer's inputs join its memory M; from then on g ← g − g M Mᵀ.
/// - Saha, Garg, Roy 2021, arXiv:2103.09762.
public struct GradientProjectionMemory: ContinualMethod {
  public static let name = "gpm"
  public static let summary = "Gradient projection memory (Saha et al. 2021, arXiv:2103.09762)."
  /// The input spaces of earlier tasks.
  public var memory = SubspaceMemory()
  let options: SubspaceOptions

  /// - Throws: `MethodError` for a threshold that is no share.
  public init(_ options: SubspaceOptions) throws {
    try options.check(Self.name)
    self.options = options
  }

  /// A matrix whose gradient is projected lies whole on one rank.
  public func granularity(of spec: ParameterSpec) -> Granularity { SubspaceMemory.granularity(of: spec) }
  public func check(_ setting: TaskSetting, with others: [String]) throws {
    try SubspaceMemory.check(Self.name, setting)
  }
  public func check(_ blueprint: Blueprint) throws { try SubspaceMemory.check(Self.name, blueprint) }
  public func check(_ growth: InputGrowth, of blueprint: Blueprint) throws {
    try SubspaceMemory.check(Self.name, growth, blueprint)
  }
  public mutating func adjust(_ session: any MethodSession) { memory.adjust(session) }
  public mutating func taskEnded(_ session: any MethodSession) throws {
    try memory.learn(session, options, flip: .never)
  }
  public mutating func grown(_ growth: InputGrowth) throws { try memory.grow(growth) }
}
