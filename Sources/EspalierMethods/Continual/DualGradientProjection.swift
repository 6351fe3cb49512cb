public import EspalierNN
public import EspalierState

/// DualGPM: as GPM, and a memory that fills more than half of a layer's input space is kept as its complement.
///
/// The memory never has more than half of the dimensions, and shrinks as further tasks fill the space.
/// - Liang and Li 2023, CVPR: Adaptive plasticity improvement for continual learning, §3.1.
public struct DualGradientProjection: ContinualMethod {
  public static let name = "dualgpm"
  public static let summary =
    "Gradient projection with the memory or its complement, whichever is smaller (Liang and Li 2023, CVPR)."
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
    try memory.learn(session, options, flip: .once)
  }
  public mutating func grown(_ growth: InputGrowth) throws { try memory.grow(growth) }
}
