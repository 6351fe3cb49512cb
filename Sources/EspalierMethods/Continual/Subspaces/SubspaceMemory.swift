public import EspalierNN
import EspalierState
import EspalierTensor

/// What a recipe may set of a method that protects the input spaces of earlier tasks.
public struct SubspaceOptions: Settings {
  public var threshold = 0.97
  public var rise = 0.03
  public var samples = [125]
  public var convention = Convention.code
  public init() {}

  /// Where paper and authors' code of GPM and DualGPM differ.
  public enum Convention: String, Codable, Sendable, CaseIterable {
    /// The first task's last direction stays below the threshold.
    case code
    /// It reaches it: one more.
    case paper
  }

  public static let fields: [SettingField] = [
    SettingField(
      "threshold", unit: "share", "Of the energy of a layer's inputs that is protected, ε, after the first task."),
    SettingField("rise", unit: "share", "What it grows by over the whole sequence: ε + rise · t / T."),
    SettingField(
      "samples", unit: "samples, 0 = all",
      "Of a task that inputs are collected from; one number for each layer in turn, or one for all."),
    SettingField(
      "convention", unit: "code | paper", "Whether the first task's directions stay below the threshold, or reach it."),
  ]

  /// Of a task, from 0.
  func threshold(of task: TaskInfo) -> Double {
    min(threshold + rise * Double(task.number) / Double(max(task.count, 1)), 1)
  }

  /// The protected layers in turn, and how many samples the inputs of each are collected from.
  func samples(of parameters: [ParameterSpec]) -> [(layer: String, samples: Int)] {
    parameters.filter(SubspaceMemory.protects).enumerated().map { place, spec in
      (spec.name, samples[min(place, samples.count - 1)])
    }
  }

  /// - Throws: `MethodError` for a threshold that is no share, or a negative number of samples.
  func check(_ method: String) throws {
    try require(share: threshold, "\(method).threshold")
    try require(share: rise, "\(method).rise")
    guard !samples.isEmpty, samples.allSatisfy({ $0 >= 0 }) else {
      throw MethodError(
        "\(method).samples", "\(samples) are no numbers of samples", remedy: "write [125], or [0] for all of a task")
    }
  }
}

/// The input spaces of all layers: what GPM, DualGPM and API share.
///
/// From the second task on, a matrix that reads observed inputs moves only where earlier inputs are not; everything else but the head, whose
/// rows belong to their tasks, stands still. Exact for plain gradients: momentum of projected gradients is projected too, but an
/// optimizer that scales element by element (AdamW) or decays leaves the space.
public struct SubspaceMemory: Codable, Sendable, Equatable {
  /// By the name of the weight that reads them.
  public private(set) var layers: [String: InputSubspace] = [:]

  /// Nothing is protected yet.
  public init() {}

  /// Whether a weight's inputs are observed, so that its gradient can be projected.
  static func protects(_ spec: ParameterSpec) -> Bool {
    spec.axes.count == 2 && spec.axes[1].role == .input && spec.isTrainable && !spec.tags.contains(.head)
      && !spec.tags.contains(.embedding) && !spec.tags.contains(.mixture)
  }

  /// Keeps the gradient of a step out of the spaces of earlier tasks.
  /// - Parameter frozen: by layer, the rows of its map that are of earlier tasks; the others are free.
  func adjust(_ session: any MethodSession, frozen: [String: Int] = [:]) {
    guard session.task.number > 0 else { return }
    session.forEachShard { shard in
      if shard.spec.tags.contains(.mixture) {
        let layer = String(shard.spec.name.dropLast("map".count)) + "weight"
        let still = (frozen[layer] ?? 0) * shard.spec.axes[1].count
        for (place, element) in shard.range.enumerated() where element < still { shard.gradient[place] = 0 }
      } else if let space = layers[shard.spec.name] {
        space.project(shard.gradient, outputs: shard.spec.axes[0].count)
      } else if !shard.spec.tags.contains(.head) {
        shard.gradient.update(repeating: 0)
      }
    }
  }

  /// Takes in the inputs of the task that has just been learned. Collective.
  /// - Parameter transform: makes the moments of what a layer reads of those of its own inputs.
  mutating func learn(
    _ session: any MethodSession, _ options: SubspaceOptions, flip: InputSubspace.Flip,
    _ transform: (_ layer: String, _ moments: DoubleMatrix) -> DoubleMatrix = { $1 }
  ) throws {
    let moments = try session.moments(of: options.samples(of: session.parameters))
    let threshold = options.threshold(of: session.task), known = layers
    let learned = try session.decompose(moments) { layer, own -> InputSubspace in
      let moments = transform(layer, own)
      guard var space = known[layer] else {
        return try InputSubspace(
          first: moments, threshold: threshold, flip: flip, takesCrossing: options.convention == .paper)
      }
      space.embed(adding: moments.rows - space.dimension)
      try space.update(moments, threshold: threshold, flip: flip)
      return space
    }
    layers.merge(learned) { $1 }
  }

  /// The model has grown: inputs that are copies keep what is known of them.
  mutating func grow(_ growth: InputGrowth) throws {
    for (layer, var space) in layers {
      guard let sources = growth.sources(layer)?.compactMap({ $0 }), sources != Array(0..<space.dimension) else {
        continue
      }
      try space.copy(sources)
      layers[layer] = space
    }
  }
}
