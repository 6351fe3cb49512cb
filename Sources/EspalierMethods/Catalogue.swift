public import EspalierNN
public import EspalierState

/// What a recipe can name. An extension adds its own: `Catalogue.standard.adding(MyOptimizer.self)`.
public struct Catalogue: Sendable {
  public private(set) var models: [any Model.Type]
  public private(set) var optimizers: [any Optimizer.Type]

  /// What ships with Espalier: one line an entry.
  public static let standard = Catalogue(
    models: [
      Decoder.self,
      MLP.self,
    ],
    optimizers: [
      AdamW.self,
      SGD.self,
    ])

  /// This catalogue and one more model.
  public func adding(_ model: any Model.Type) -> Catalogue {
    Catalogue(models: models + [model], optimizers: optimizers)
  }

  /// This catalogue and one more optimizer.
  public func adding(_ optimizer: any Optimizer.Type) -> Catalogue {
    Catalogue(models: models, optimizers: optimizers + [optimizer])
  }
}
