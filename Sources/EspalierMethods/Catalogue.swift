public import EspalierNN
public import EspalierState

/// What a recipe can name. An extension adds its own: `Catalogue.standard.adding(MyOptimizer.self)`.
public struct Catalogue: Sendable {
  public private(set) var models: [any Model.Type]
  public private(set) var optimizers: [any Optimizer.Type]
  public private(set) var growth: [any GrowthOperator.Type]

  /// What ships with Espalier: one line an entry.
  public static let standard = Catalogue(
    models: [
      Decoder.self,
      MLP.self,
    ],
    optimizers: [
      AdamW.self,
      Muon.self,
      SGD.self,
    ],
    growth: [
      Duplicate.self,
      IdentityInsertion.self,
      Interleave.self,
      MeanPad.self,
      RandomLayers.self,
      ShallowStart.self,
      ShrinkPerturb.self,
      SizePreserving.self,
      Stack.self,
      WidthAndDepth.self,
      ZeroPad.self,
    ])

  /// This catalogue and one more model.
  public func adding(_ model: any Model.Type) -> Catalogue {
    Catalogue(models: models + [model], optimizers: optimizers, growth: growth)
  }

  /// This catalogue and one more optimizer.
  public func adding(_ optimizer: any Optimizer.Type) -> Catalogue {
    Catalogue(models: models, optimizers: optimizers + [optimizer], growth: growth)
  }

  /// This catalogue and one more growth operator.
  public func adding(_ growthOperator: any GrowthOperator.Type) -> Catalogue {
    Catalogue(models: models, optimizers: optimizers, growth: growth + [growthOperator])
  }
}
