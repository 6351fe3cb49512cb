public import EspalierNN
public import EspalierState

/// What a recipe can name. An extension adds its own: `Catalogue.standard.adding(MyOptimizer.self)`.
public struct Catalogue: Sendable {
  public private(set) var models: [any Model.Type]
  public private(set) var optimizers: [any Optimizer.Type]
  public private(set) var growth: [any GrowthOperator.Type]
  public private(set) var continual: [any ContinualMethod.Type]

  /// What ships with Espalier: one line an entry.
  public static let standard = Catalogue(
    models: [
      ConvolutionalNetwork.self,
      Decoder.self,
      MLP.self,
      ResidualNetwork.self,
      VisionTransformer.self,
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
    ],
    continual: [
      AdaptivePlasticity.self,
      AveragedGradientMemory.self,
      DarkExperienceReplay.self,
      DualGradientProjection.self,
      ElasticWeightConsolidation.self,
      ExperienceReplay.self,
      Finetune.self,
      GradientProjectionMemory.self,
      Joint.self,
      LearningWithoutForgetting.self,
      LossDecoupling.self,
      StableReplay.self,
      SynapticIntelligence.self,
    ])

  /// This catalogue and one more model.
  public func adding(_ model: any Model.Type) -> Catalogue { with { $0.models.append(model) } }

  /// This catalogue and one more optimizer.
  public func adding(_ optimizer: any Optimizer.Type) -> Catalogue { with { $0.optimizers.append(optimizer) } }

  /// This catalogue and one more growth operator.
  public func adding(_ growthOperator: any GrowthOperator.Type) -> Catalogue {
    with { $0.growth.append(growthOperator) }
  }

  /// This catalogue and one more continual method.
  public func adding(_ method: any ContinualMethod.Type) -> Catalogue { with { $0.continual.append(method) } }

  private func with(_ change: (inout Catalogue) -> Void) -> Catalogue {
    var catalogue = self
    change(&catalogue)
    return catalogue
  }
}
