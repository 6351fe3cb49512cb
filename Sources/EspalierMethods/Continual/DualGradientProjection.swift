/// DualGPM: as GPM, and a memory that fills more than half of a layer's input space is kept as its complement.
///
/// The memory never has more than half of the dimensions, and shrinks as further tasks fill the space.
/// - Liang and Li 2023, CVPR: Adaptive plasticity improvement for continual learning, §3.1.
public struct DualGradientProjection: GradientProjection {
  public static let name = "dualgpm"
  public static let summary =
    "Gradient projection with the memory or its complement, whichever is smaller (Liang and Li 2023, CVPR)."
  /// When the complement is kept instead.
  public static let flip = InputSubspace.Flip.once
  /// The input spaces of earlier tasks.
  public var memory = SubspaceMemory()
  /// As the recipe set them.
  public let options: SubspaceOptions

  /// - Throws: `MethodError` for a threshold that is no share.
  public init(_ options: SubspaceOptions) throws {
    try options.check(Self.name)
    self.options = options
  }
}
