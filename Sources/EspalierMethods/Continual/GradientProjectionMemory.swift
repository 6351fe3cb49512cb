/// GPM: a layer's weights move only where the inputs of earlier tasks are not.
///
/// After each task the directions that hold most of the energy of a layer's inputs join its memory M; from then on g ← g − g M Mᵀ.
/// - Saha, Garg, Roy 2021, arXiv:2103.09762.
public struct GradientProjectionMemory: GradientProjection {
  public static let name = "gpm"
  public static let summary = "Gradient projection memory (Saha et al. 2021, arXiv:2103.09762)."
  /// When the complement is kept instead.
  public static let flip = InputSubspace.Flip.never
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
