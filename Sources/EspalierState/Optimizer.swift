public import EspalierNN

/// An update rule. It holds hyper-parameters only; its state lives in slots.
public protocol Optimizer: Sendable, SendableMetatype {
  /// What a recipe may set.
  associatedtype Options: Settings
  /// The name in recipes; its slots begin with it and a dot.
  static var name: String { get }
  /// One sentence, with the source, for `espalier describe`.
  static var summary: String { get }
  /// - Throws: `OptimizerError` where an option has no meaning.
  init(_ options: Options) throws
  /// The rate at the top of the schedule's shape.
  var rate: Double { get }
  /// All that it keeps for one trainable weight or another.
  var slots: [SlotSpec] { get }
  /// What it keeps for the elements of one trainable parameter; some of `slots`, in their order.
  func slots(of spec: ParameterSpec) -> [SlotSpec]
  /// What it asks of the cuts of a parameter.
  func granularity(of spec: ParameterSpec) -> Granularity
  /// What one update of a parameter costs, in floating-point operations or what takes as long: whole parameters are shared out
  /// by it.
  func cost(of spec: ParameterSpec) -> Double
  /// Which form of its arithmetic updates a parameter, where it has several; `espalier plan` prints it by shape. A function of
  /// the parameter alone, for forms differ in bits.
  func form(of spec: ParameterSpec) -> String?
  /// Refuses options that do not fit the model.
  /// - Throws: `OptimizerError`
  func check(_ blueprint: Blueprint) throws
  /// Updates one stretch of one parameter. Called for every stretch that this rank owns, in any order.
  func update(_ shard: ParameterShard, at moment: UpdateMoment)
}

extension Optimizer {
  /// All slots for every parameter.
  public func slots(of spec: ParameterSpec) -> [SlotSpec] { slots }
  /// Any chunk edge will do.
  public func granularity(of spec: ParameterSpec) -> Granularity { .element }
  /// One for an element.
  public func cost(of spec: ParameterSpec) -> Double { Double(spec.count) }
  /// One form.
  public func form(of spec: ParameterSpec) -> String? { nil }
  /// Every model will do.
  public func check(_ blueprint: Blueprint) throws {}
}

/// An option without meaning.
public struct OptimizerError: Error, CustomStringConvertible, Equatable {
  /// The option's key.
  public let option: String
  /// "is −1 and must not be negative"
  public let reason: String

  /// An error about one option.
  public init(_ option: String, _ reason: String) {
    self.option = option
    self.reason = reason
  }

  /// One sentence.
  public var description: String { "optimizer option '\(option)' \(reason)" }
}

/// When an update happens.
public struct UpdateMoment: Sendable {
  /// Updates done, this one included: 1 for the first. Skipped steps do not count.
  public let count: Int
  /// The rate of this step.
  public var rate: Double
  /// What every gradient is multiplied with: below 1 where the global norm is clipped.
  public let gradientScale: Double

  /// A moment of its parts.
  public init(count: Int, rate: Double, gradientScale: Double) {
    self.count = count
    self.rate = rate
    self.gradientScale = gradientScale
  }
}

/// This rank's stretch of one parameter. The buffers are valid inside the call that hands the shard out.
public struct ParameterShard {
  /// What the blueprint says of the parameter.
  public let spec: ParameterSpec
  /// Elements of the flattened parameter.
  public let range: Range<Int>
  /// From the settings' groups: factors on the rate and on the weight decay.
  public let group: ParameterGroup
  /// Its weights, to be changed in place.
  public let value: UnsafeMutableBufferPointer<Float>
  public let gradient: UnsafeMutableBufferPointer<Float>
  /// Working memory, the same from step to step.
  public let scratch: Scratch
  let slots: [String: UnsafeMutableBufferPointer<Float>]

  /// - Parameter slots: by name, as long as `value`.
  package init(
    spec: ParameterSpec, range: Range<Int>, group: ParameterGroup, value: UnsafeMutableBufferPointer<Float>,
    gradient: UnsafeMutableBufferPointer<Float>, slots: [String: UnsafeMutableBufferPointer<Float>],
    scratch: Scratch
  ) {
    self.spec = spec
    self.range = range
    self.group = group
    self.value = value
    self.gradient = gradient
    self.slots = slots
    self.scratch = scratch
  }

  /// A part of the stretch.
  package func part(_ part: Range<Int>, range: Range<Int>) -> ParameterShard {
    ParameterShard(
      spec: spec, range: range, group: group, value: UnsafeMutableBufferPointer(rebasing: value[part]),
      gradient: UnsafeMutableBufferPointer(rebasing: gradient[part]),
      slots: slots.mapValues { UnsafeMutableBufferPointer(rebasing: $0[part]) }, scratch: scratch)
  }

  /// The stretch of a slot that the optimizer declared.
  public func slot(_ name: String) -> UnsafeMutableBufferPointer<Float> {
    guard let slot = slots[name] else { fatalError("slot '\(name)' of '\(spec.name)' was not declared") }
    return slot
  }
}

/// Factors on rate and decay for some parameters.
public struct ParameterGroup: Hashable, Codable, Sendable {
  /// Multiplies the learning rate.
  public var rate: Double
  /// Multiplies the weight decay.
  public var decay: Double

  /// By default both 1.
  public init(rate: Double = 1, decay: Double = 1) {
    self.rate = rate
    self.decay = decay
  }
}
